"""The command line of the build side: ``python -m pipeline COMMAND``."""

import argparse
import errno
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
    optimisers,
    quantisation,
    readme,
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
    optimisers,
    quantisation,
    readme,
    web,
    bundle,
    reference,
)

REMEDIES = {
    errno.ENOENT: "give a path that is there",
    errno.EEXIST: "a file stands where a folder is needed, choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed, choose another folder",
    errno.EISDIR: "a folder stands where a file is needed, choose another name",
    errno.EACCES: "let this user read or write there, or choose another place",
    errno.EPERM: "let this user read or write there, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or choose another disk",
}
"""What to do about what the system refuses, by its number."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="From a Keras model to verified model files."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(UNUSABLE)
    return parser.parse_args(arguments)


def _explained(error: OSError) -> str:
    """What the system refused, where, and what to do."""
    if error.strerror is None:
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}; {REMEDIES.get(error.errno or 0, 'look at the path and at the options')}"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an error that the project knows is one line and exit status 2."""
    try:
        options = parse(arguments)
        if getattr(options, "tensorflow", True):
            start_devices = getattr(options, "distribute", None) != "multiworker"
            load_tensorflow(options.tensorflow_threads, start_devices=start_devices)
        status: int = options.run(options)
    except EdgecnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"error: {_explained(error)}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
