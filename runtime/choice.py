"""Which model file of a folder to run, on what: as ``tune`` found it out there, or a default."""

from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

from runtime.engines.registry import file_formats
from runtime.errors import ModelFileNotFoundError, ModelFormatError
from runtime.system.files import parse_json, read_regular
from runtime.system.processors import why_not_threads

CHOICE_FILE = "runtime.json"
FORMAT, VERSION = "edgecnn-runtime", 1
DEFAULT_MODEL = "model_int8.onnx"
MAX_BYTES = 1 << 20
"""The most that ``runtime.json`` may hold."""


class Choice(NamedTuple):
    """A model file and how to run it.

    Attributes:
        path: the file.
        engine: name of what runs it; ``None``: by its suffix.
        threads: processor threads of the engine.
        sha256: what the file held when it was chosen; ``None``: nobody looked.
    """

    path: Path
    engine: str | None = None
    threads: int = 1
    sha256: str | None = None


def choose(folder: Path) -> Choice:
    """What ``runtime.json`` says; without one ``model_int8.onnx``, or the only model file there.

    Raises:
        ModelFileNotFoundError: no model file, several and none is the default, or the chosen one is gone.
        ModelFormatError: a ``runtime.json`` that ``tune`` did not write.
    """
    chosen = folder / CHOICE_FILE
    again = f"run python -m runtime tune {folder} again, or remove it"
    try:
        choice = _read(folder, read_regular(chosen, MAX_BYTES))
    except FileNotFoundError:
        return Choice(_default(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{chosen}: not what tune of this version writes ({error!s:.100}): {again}") from error
    if not choice.path.is_file():
        raise ModelFileNotFoundError(f"{chosen}: names {choice.path.name}, which is not there: {again}")
    return choice


def model_files(folder: Path) -> dict[str, Path]:
    """The model files of a folder by name.

    Raises:
        ModelFileNotFoundError: there is none.
    """
    known = file_formats()
    files = {path.name: path for path in visible_files(folder, known)}
    if not files:
        raise ModelFileNotFoundError(
            f"{folder}: no {', '.join(known)} files in it; expected a readable model file or a folder of some"
        )
    return files


def visible_files(folder: Path, suffixes: Container[str]) -> list[Path]:
    """The files of a folder that end in one of some suffixes, by name.

    Hidden ones are none of them: what a killed process left, or what a Mac puts beside each file on a USB stick.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def _default(folder: Path) -> Path:
    if (folder / DEFAULT_MODEL).is_file():
        return folder / DEFAULT_MODEL
    files = model_files(folder)
    if len(files) == 1:
        return next(iter(files.values()))
    raise ModelFileNotFoundError(
        f"{folder}: which of {', '.join(files)}? Name one, or let python -m runtime tune {folder} find the fastest"
    )


def _read(folder: Path, content: bytes) -> Choice:
    entries: Any = parse_json(content)
    name, engine, threads, digest = (entries[key] for key in ("artifact", "engine", "threads", "sha256"))
    if (entries["format"], entries["version"]) != (FORMAT, VERSION) or Path(name).name != name:
        raise ValueError(f"{entries['format']!r:.40} of version {entries['version']!r:.40}")
    if not (isinstance(threads, int) and threads >= 1 and isinstance(engine, str) and isinstance(digest, str)):
        raise ValueError(f"engine {engine!r:.40} with {threads!r:.40} threads")
    if reason := why_not_threads(threads):
        raise ValueError(f"threads must be {reason}")
    return Choice(folder / name, engine, threads, digest)
