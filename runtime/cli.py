"""The command line of the device: ``python -m runtime COMMAND …``."""

import argparse
import io
import os
import sys
from importlib import import_module
from typing import NoReturn

from runtime.commands import INTERRUPTED, OK, UNUSABLE
from runtime.errors import EdgecnnError
from runtime.system.stderr import open_closed_streams, quiet_command
from runtime.text import for_terminal

COMMANDS = {
    "classify": "name what each image shows",
    "stream": "say what begins and ends before a camera, or in JPEG frames on stdin",
    "watch": "say what begins and ends in the images that come into a folder",
    "serve": "show the camera, what it shows and what happened on a page of this device",
    "inspect": "show what a model file says of itself",
    "verify": "replay the images that a model file carries, to see that it computes the same here",
    "verify-bundle": "check an unpacked bundle: no file changed, missing or added, and who signed it",
    "bench": "measure model files on every engine that is here",
    "tune": "find the fastest way to run the model of a folder on this machine, and keep to it",
    "doctor": "look at this machine: processor, memory, heat, and whether each engine runs",
}

WIDEST = 100


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Fits the text to the terminal; what follows ``examples:`` is left as it is, to be copied.

    A width that is given spares the import of shutil, which brings in three compressors.
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
    """Of the terminal; ``WIDEST`` where there is none."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or WIDEST
    except OSError:
        return WIDEST


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; only the module of the command that was asked for is imported."""
    program = "edgecnn" if os.path.basename(sys.argv[0]) == "edgecnn" else "python -m runtime"
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return _parse_top(program, arguments)
    command = import_module(f"runtime.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(
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
    parser = argparse.ArgumentParser(
        prog=program,
        description="Classify photos with a model file that explains itself.",
        epilog=f"commands:\n{listing}\n\nexample:\n  {program} classify model_int8.onnx photo.jpg --top 3\n\n"
        f"{program} COMMAND --help tells more. Exit status: 0 done, 1 some image or check failed,\n"
        "2 the model or the arguments are unusable, 130 interrupted.",
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"edgecnn {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do; see below")
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(UNUSABLE)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; never shows a traceback for what a user can cause."""
    try:
        try:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # names can be any bytes
            options = parse(sys.argv[1:] if arguments is None else arguments)
            with quiet_command():
                status: int = options.run(options)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone; keep the interpreter from flushing into the closed pipe at exit.
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
    """``main`` as a process of its own."""
    open_closed_streams()
    status = main()
    # Taking engine and interpreter down piece by piece costs a fifth of a cold start; the kernel does it at once.
    os._exit(status)
