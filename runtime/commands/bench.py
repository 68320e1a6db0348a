"""``bench``: compare all installed engines on all given model files."""

import argparse
import json
from pathlib import Path

from runtime.benchmark.contenders import check_engines, contenders, find_models, thread_counts
from runtime.benchmark.progress import show_progress
from runtime.benchmark.run import benchmark
from runtime.benchmark.table import format_benchmark
from runtime.commands import FAILED, OK, UNUSABLE, add_json, benchmark_options
from runtime.system.writing import atomic_path, check_writable

EPILOG = """\
It runs each engine on each file with 1, 2, … threads up to all cores, and measures single images, batches, start-up,
memory, and the classification of a photo file. Each contender (a file on an engine) runs in a process of its own; they
take turns in shuffled rounds, so that a slow moment of the machine affects all of them. The images are the golden sets
in the model files. Each contender takes about three times --seconds, plus three starts: with the usual four files on
two cores about two minutes. --engines measures fewer.

exit status:
  0 measured, 1 some contender failed (its line says why), 2 a file is unusable or none could be measured

examples:
  PROGRAM bench model_fp32.onnx model_int8.onnx --threads 1
  PROGRAM bench models/ --engines onnxruntime litert
  PROGRAM bench models/ --out pi4.json"""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="model files, or folders of them")
    benchmark_options.add(parser)
    parser.add_argument(
        "--photo", type=Path, metavar="FILE", help="photo whose classification is timed (default: a generated one)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results to this file as JSON")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, write and print."""
    if options.out and not options.out.parent.is_dir():
        raise FileNotFoundError(f"{options.out}: no such folder to write to")
    if options.out:
        check_writable(options.out)
    check_engines(options.engines or ())
    taking_part = contenders(find_models(options.models), options.threads or thread_counts(), options.engines)
    with show_progress() as say:
        report = benchmark(taking_part, options.seconds, photo=options.photo, say=say)
    if options.out:
        with atomic_path(options.out) as temporary:
            temporary.write_text(report.to_json(), encoding="utf-8")
    print(json.dumps(json.loads(report.to_json())) if options.json else format_benchmark(report))
    failures = [row.missing for row in report.contenders if row.missing]
    if len(failures) == len(report.contenders):
        return UNUSABLE
    return FAILED if any(missing.failed for missing in failures) else OK
