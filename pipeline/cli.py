"""The command line of the build side: ``python -m pipeline COMMAND``.

Each command imports what it needs when it runs, so that help and usage errors come at once.
"""

import argparse
import sys
from pathlib import Path

from pipeline.quiet import load_tensorflow
from runtime.errors import EdgecnnError

OK, FAILED, UNUSABLE = 0, 1, 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="From a Keras model to verified model files."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    summary = commands.add_parser("summary", help="print the network: shapes, parameters, multiply-accumulates")
    summary.add_argument("--side", type=int, default=32, help="height and width of the images (default: 32)")
    summary.add_argument("--classes", type=int, default=10, help="number of classes (default: 10)")
    summary.add_argument(
        "--filters", type=int, nargs="+", default=[16, 32, 64], help="channels a block (default: 16 32 64)"
    )
    summary.set_defaults(tensorflow_threads=None, run=run_summary)

    train = commands.add_parser("train", help="train on CIFAR-10 and write model.keras and history.json")
    train.add_argument(
        "--out", type=Path, default=Path("artifacts/train"), help="folder to write (default: artifacts/train)"
    )
    train.add_argument("--epochs", type=int, help="passes over the training images (default: the recipe's)")
    train.add_argument("--seed", type=int, default=0, help="seed of weights, shuffling and augmentation (default: 0)")
    train.set_defaults(tensorflow_threads=None, run=run_train)

    export = commands.add_parser("export", help="write the ONNX and TFLite files of a model and verify them")
    export.add_argument("--model", type=Path, required=True, help="a .keras file")
    export.add_argument("--out", type=Path, required=True, help="folder to write")
    export.set_defaults(tensorflow_threads=None, run=run_export)

    verify = commands.add_parser("verify", help="hold exported files against Keras; exit status 1 on any breach")
    verify.add_argument("dir", type=Path, help="a folder that export wrote")
    verify.set_defaults(tensorflow_threads=None, run=run_verify)

    bench = commands.add_parser("bench", help="compare latency across backends")
    bench.add_argument("dir", type=Path, help="a folder that export wrote")
    bench.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default: 20)")
    bench.set_defaults(tensorflow_threads=1, run=run_bench)

    bench_graph = commands.add_parser("bench-graph", help="time our files against the stock recipes' files")
    bench_graph.add_argument("dir", type=Path, help="a folder that export wrote")
    bench_graph.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default: 20)")
    bench_graph.set_defaults(tensorflow_threads=1, run=run_bench_graph)

    reference = commands.add_parser(
        "reference", help="ship a trained model as the reference, with exports and README table"
    )
    reference.add_argument("--train", type=Path, required=True, help="a folder that train wrote")
    reference.add_argument("--out", type=Path, required=True, help="the reference folder")
    reference.set_defaults(tensorflow_threads=1, run=run_reference)
    return parser.parse_args(arguments)


def run_summary(options: argparse.Namespace) -> int:
    """``python -m pipeline summary``."""
    from pipeline.model import Architecture, build, format_summary, summarize

    print(format_summary(summarize(build(Architecture(options.classes, options.side, tuple(options.filters))))))
    return OK


def run_train(options: argparse.Namespace) -> int:
    """``python -m pipeline train``."""
    from pipeline.data import cifar10
    from pipeline.data.dataset import split
    from pipeline.train import Settings, train

    settings = Settings(seed=options.seed) if options.epochs is None else Settings(options.epochs, seed=options.seed)
    training, validation = split(cifar10.load()[0], cifar10.VALIDATION_COUNT)
    history = train(training, validation, options.out, settings)
    print(
        f"Validation accuracy {history['validation_accuracy']:.2%} "
        f"(epoch {history['best_epoch']} of {settings.epochs}).\n"
        f"Written: {options.out}/model.keras, {options.out}/history.json\n"
        f"Next: python -m pipeline export --model {options.out}/model.keras --out artifacts/build"
    )
    return OK


def run_export(options: argparse.Namespace) -> int:
    """``python -m pipeline export``."""
    from pipeline.export import export
    from pipeline.verify import format_report, verify

    export(options.model, options.out)
    report = verify(options.out)
    print(format_report(report))
    print(f"Written: {options.out}/ (model files, manifest.json, verify.json)")
    return OK if report["passed"] else FAILED


def run_verify(options: argparse.Namespace) -> int:
    """``python -m pipeline verify``."""
    from pipeline.verify import format_report, verify

    report = verify(options.dir)
    print(format_report(report))
    print(f"Written: {options.dir}/verify.json")
    return OK if report["passed"] else FAILED


def run_bench(options: argparse.Namespace) -> int:
    """``python -m pipeline bench``."""
    from pipeline.benchmark import benchmark, format_benchmark

    print(format_benchmark(benchmark(options.dir, options.rounds)))
    print(f"Written: {options.dir}/benchmark.json")
    return OK


def run_bench_graph(options: argparse.Namespace) -> int:
    """``python -m pipeline bench-graph``."""
    from pipeline.benchmark_graph import benchmark_graph, format_graph_benchmark

    print(format_graph_benchmark(benchmark_graph(options.dir, options.rounds)))
    print(f"Written: {options.dir}/benchmark_graph.json")
    return OK


def run_reference(options: argparse.Namespace) -> int:
    """``python -m pipeline reference``."""
    from pipeline.reference import ship

    passed = ship(options.train, options.out)
    print(f"Written: {options.out}/ and the table in README.md")
    return OK if passed else FAILED


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an error that the project knows is one line and exit status 2."""
    options = parse(arguments)
    try:
        load_tensorflow(options.tensorflow_threads)
        status: int = options.run(options)
    except (EdgecnnError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return 130
    return status
