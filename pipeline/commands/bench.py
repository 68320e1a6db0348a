"""``python -m pipeline bench``."""

import argparse
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands, photo_options
from pipeline.commands.before_tensorflow import check_exported
from runtime.commands import benchmark_options


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "bench",
        help="compare latency, memory and accuracy across engines",
        description="Measure latency, memory, start-up and accuracy of each exported file on each installed engine, "
        "and of Keras. On two cores this takes about five minutes, longer on a busy machine; Keras, TensorFlow and "
        "ONNX Runtime Web take most of it, and --engines onnxruntime litert leaves them out. Exit status: 0 measured, "
        "1 if an engine failed.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    photo_options.add_data(parser, "photos of the model's classes to judge on", exported=True)
    benchmark_options.add(parser)
    parser.set_defaults(tensorflow_threads=1, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    from pipeline.benchmark.engines import BACKENDS
    from runtime.benchmark.contenders import check_engines

    check_engines(options.engines or (), BACKENDS)
    check_exported(options)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.benchmark import benchmark
    from runtime.benchmark.table import format_benchmark

    photos = photo_options.of_export(options, options.dir)
    test, part = photo_options.evaluation_images(photos)
    report = benchmark(options.dir, options.seconds, test, options.threads, part, options.engines)
    print(format_benchmark(report))
    photo_options.report_skipped(photos)
    print(f"Written: {options.dir}/benchmark.json")
    return FAILED if any(row.missing and row.missing.failed for row in report.contenders) else OK
