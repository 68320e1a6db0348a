"""Command line of the runtime: ``python -m runtime COMMAND …``."""

import argparse
import io
import os
import sys
from importlib import import_module
from typing import NoReturn

from runtime.commands import INTERRUPTED, OK, UNUSABLE, Parser
from runtime.errors import EdgecnnError, ModelError
from runtime.system.stderr import open_closed_streams, quiet_command
from runtime.text import for_terminal

COMMANDS = {
    "classify": "print the most probable classes of each image",
    "stream": "report when a class begins and ends in front of a camera or in JPEG frames on stdin",
    "watch": "report when a class begins and ends in images that arrive in a folder",
    "serve": "show the camera, its current prediction and the last events on a web page",
    "inspect": "show the spec and the tensors of a model file",
    "verify": "replay the images stored in a model file and compare the results on this machine",
    "verify-bundle": "check an unpacked bundle: no file changed, missing or added, and who signed it",
    "bench": "measure model files on every installed engine",
    "tune": "find the fastest file and engine for a folder's model here, and store the choice",
    "doctor": "check this machine: processor, memory, temperature, and whether each engine works",
}

PIPELINE = (
    "photos", "summary", "train", "fine-tune", "evaluate", "explain", "export", "drift", "report", "web", "bundle",
    "compare", "label",
)  # fmt: skip
"""Commands that only ``python -m pipeline`` has, which this package does not import."""

WIDEST = 100


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A formatter that wraps help to the terminal's width, but not blocks of examples, which are there to be copied.

    Passing a width avoids the import of shutil, which imports three compressors.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(_columns(), WIDEST))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from textwrap import fill

        hanging = f"{indent}  "
        blocks = []
        for block in text.split("\n\n"):
            title, _, rest = block.partition("\n")
            if title.startswith("example"):
                blocks.append(block)
            elif title == "exit status:":
                meanings = fill(" ".join(rest.split()), width, initial_indent=hanging, subsequent_indent=hanging)
                blocks.append(f"{title}\n{meanings}")
            elif title == "commands:":
                below = f"{hanging:<17}"
                lines = [fill(line, width, subsequent_indent=below) for line in rest.splitlines()]
                blocks.append("\n".join([title, *lines]))
            else:
                blocks.append(fill(" ".join(block.split()), width, initial_indent=indent, subsequent_indent=indent))
        return "\n\n".join(blocks)


def _columns() -> int:
    """Return the width of the terminal in characters; ``WIDEST`` if there is no terminal."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or WIDEST
    except OSError:
        return WIDEST


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; import only the module of the requested command."""
    program = "edgecnn" if os.path.basename(sys.argv[0]) == "edgecnn" else "python -m runtime"
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return _parse_top(program, arguments)
    command = import_module(f"runtime.commands.{name.replace('-', '_')}")
    parser = Parser(
        prog=f"{program} {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        epilog=command.EPILOG.replace("PROGRAM", program),
        formatter_class=_Formatter,
    )
    command.add(parser)
    parser.set_defaults(run=command.run)
    return parser.parse_args(arguments[1:])


def _parse_top(program: str, arguments: list[str]) -> argparse.Namespace:
    from runtime import __version__

    listing = "\n".join(f"  {name:<15}{text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog=program,
        description="Classify photos with a self-describing model file.",
        epilog=f"commands:\n{listing}\n\nexample:\n  {program} classify model_int8.onnx photo.jpg --top 3\n\n"
        f"Run {program} COMMAND --help for its options. Exit status: 0 done, 1 some image or check failed,\n"
        "2 the model or the arguments are unusable, 130 interrupted.",
        formatter_class=_Formatter,
    )
    parser.elsewhere = {name: f"python -m pipeline {name}" for name in PIPELINE}
    parser.add_argument("--version", action="version", version=f"edgecnn {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do; see below")
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(UNUSABLE)
    if arguments[0] in PIPELINE:
        parser.error(f"{arguments[0]} is a command of the pipeline: python -m pipeline {arguments[0]}")
    return parser.parse_args(arguments[:1])  # the words behind a mistyped command are not for this parser


def _run(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
    except ModelError as error:
        from runtime.commands.misplaced import explain_misplaced

        if said := explain_misplaced(options, str(error)):
            raise type(error)(said) from error
        raise
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; errors that a user can cause are printed in one line."""
    try:
        try:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # file names can hold any bytes
            options = parse(sys.argv[1:] if arguments is None else arguments)
            with quiet_command():
                status = _run(options)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe; keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OK
    except (EdgecnnError, OSError) as error:
        print(f"error: {for_terminal(str(error))}", file=sys.stderr)
        return UNUSABLE
    except ImportError as error:
        print(f"error: {error} for {sys.executable}: pip install numpy pillow onnxruntime", file=sys.stderr)
        return UNUSABLE
    except MemoryError:
        print("error: not enough memory: use a smaller model, smaller images or fewer --workers", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def entry() -> NoReturn:
    """Run ``main`` as the process's only task, and exit with its status."""
    open_closed_streams()
    status = main()
    # Orderly destruction of engine and interpreter takes a fifth of a cold start; the kernel frees all at once.
    os._exit(status)
