"""The command line ``python -m pipeline COMMAND``."""

import argparse
import errno
import sys
from collections.abc import Callable, Iterable

import runtime.cli
from pipeline.commands import (
    INTERRUPTED,
    UNUSABLE,
    Command,
    bench,
    bundle,
    compare,
    drift,
    evaluate,
    explain,
    export,
    fine_tune,
    label,
    photos,
    report,
    summary,
    train,
    verify,
    web,
)
from pipeline.system.quiet import in_our_command_line, load_tensorflow
from runtime.commands import Parser
from runtime.errors import EdgecnnError
from runtime.text import for_page, say

COMMANDS: tuple[Command, ...] = (
    photos,
    summary,
    train,
    fine_tune,
    evaluate,
    explain,
    export,
    verify,
    drift,
    bench,
    report,
    web,
    bundle,
    compare,
    label,
)

EXAMPLES = """examples:
  # all steps, from photos in a folder for each class
  python -m pipeline photos photos
  # the same in steps
  python -m pipeline train --data photos --out artifacts/train
  python -m pipeline export --model artifacts/train/model.keras --out build
  python -m pipeline bundle build --name doorbell
  # a model of your own: its class names, and a folder of photos for each class
  python -m pipeline export --model mine.keras --classes names.txt \\
      --data photos --out build
  python -m pipeline verify build --data other-photos
  python -m pipeline bundle build

Each command explains its options: python -m pipeline COMMAND --help"""

REMEDIES = {
    errno.ENOENT: "give a path that exists",
    errno.EEXIST: "a folder is needed but there is a file, choose another folder",
    errno.ENOTDIR: "a folder is needed but there is a file, choose another folder",
    errno.EISDIR: "a file is needed but there is a folder, choose another name",
    errno.EACCES: "let this user read or write there, or choose another place",
    errno.EPERM: "let this user read or write there, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or choose another disk",
}
"""Number of an operating system error -> advice for the user."""


def parse(
    arguments: list[str] | None,
    commands: Iterable[Command] = COMMANDS,
    prog: str = "python -m pipeline",
    description: str = "From a Keras model to verified model files.",
    examples: str = EXAMPLES,
) -> argparse.Namespace:
    """Parse the command line; without any argument, print the help and exit.

    Args:
        arguments: the command line; that of this process if ``None``.
        commands: modules that register one subcommand each.
        prog: the program's name in the help.
        description: the program's description in the help.
        examples: text at the end of the help.

    Returns:
        The options; ``typed`` has the unparsed arguments.
    """
    top = Parser(
        prog=prog, description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.elsewhere = {name: f"python -m runtime {name}" for name in runtime.cli.COMMANDS}
    parser: argparse.ArgumentParser = top
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands:
        command.add(subparsers)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(UNUSABLE)
    name = arguments[0]
    if name in runtime.cli.COMMANDS and name not in subparsers.choices:
        parser.error(f"{name} is a command of the runtime: python -m runtime {name}")
    options: argparse.Namespace
    options, unknown = parser.parse_known_args(arguments, argparse.Namespace(typed=tuple(arguments)))
    if unknown:  # parse_args would print the usage of all commands, which names none of the options
        subparsers.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _explained(error: OSError) -> str:
    """Format an error of the operating system: path, message and advice."""
    if error.strerror is None:
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}; {REMEDIES.get(error.errno or 0, 'look at the path and at the options')}"


def _load_tensorflow(options: argparse.Namespace) -> None:
    """Load TensorFlow as the options ask, and say so before, because that takes long."""
    if "tensorflow" not in sys.modules:
        say("loading TensorFlow, which takes ten seconds or more")
    start_devices = getattr(options, "distribute", None) != "multiworker"
    load_tensorflow(options.tensorflow_threads, start_devices=start_devices, optional_modules=False)


def main(arguments: list[str] | None = None) -> int:
    """Run one command of ``python -m pipeline`` and return its exit status."""
    return run(lambda: parse(arguments))


def run(read_options: Callable[[], argparse.Namespace]) -> int:
    """Run the command that the options name and return its exit status.

    An ``EdgecnnError`` or ``OSError`` is printed as one line on standard error, with exit status 2.

    Args:
        read_options: reads the command line; see ``parse``.
    """
    in_our_command_line()
    try:
        options = read_options()
        if check := getattr(options, "check", None):  # checks that need no TensorFlow come first
            check(options)
        if getattr(options, "tensorflow", True):
            _load_tensorflow(options)
        if getattr(options, "trust_code", None):
            from pipeline.export.load.trusted_code import trust_code

            names = ", ".join(trust_code(options.trust_code))
            print(f"{options.trust_code}: run, as asked; it defines {names}", file=sys.stderr)
        status: int = options.run(options)
    except EdgecnnError as error:
        print(f"error: {for_page(str(error))}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"error: {for_page(_explained(error))}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
