"""``python -m docs.figures runtime``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("runtime", help="compare the runtime with hand-written code, from photo to label")
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument("--photos", type=Path, help="a folder of real photos (default: generated ones)")
    parser.add_argument("--quick", action="store_true", help="few rounds, to check that it runs")
    parser.set_defaults(tensorflow=False, run=run)  # TensorFlow's memory and threads would be measured, too


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.runtime import QUICK, Effort, benchmark_runtime, format_runtime_benchmark

    effort = QUICK if options.quick else Effort()
    print(format_runtime_benchmark(benchmark_runtime(options.dir, options.photos, effort)))
    print(f"Written: {options.dir}/benchmark_runtime.json")
    return OK
