"""The command line of the build side: ``python -m pipeline COMMAND``."""

import argparse
import sys

from pipeline.commands import (
    INTERRUPTED,
    UNUSABLE,
    bench,
    bench_data,
    bench_graph,
    bench_runtime,
    bundle,
    drift,
    evaluate,
    explain,
    export,
    quantisation,
    reference,
    report,
    summary,
    train,
    tries,
    verify,
    web,
)
from pipeline.quiet import load_tensorflow
from runtime.errors import EdgecnnError

COMMANDS = (
    summary,
    train,
    tries,
    evaluate,
    explain,
    export,
    verify,
    drift,
    bench,
    bench_graph,
    bench_runtime,
    bench_data,
    report,
    quantisation,
    web,
    bundle,
    reference,
)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="From a Keras model to verified model files."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an error that the project knows is one line and exit status 2."""
    options = parse(arguments)
    try:
        if getattr(options, "tensorflow", True):
            start_devices = getattr(options, "distribute", None) != "multiworker"
            load_tensorflow(options.tensorflow_threads, start_devices=start_devices)
        status: int = options.run(options)
    except (EdgecnnError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
