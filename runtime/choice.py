"""Which model file of a folder to run, on what: as ``tune`` found it out there, or a default."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from runtime.engines import DEFAULTS
from runtime.errors import ModelFileNotFoundError, ModelFormatError

CHOICE_FILE = "runtime.json"
FORMAT, VERSION = "edgecnn-runtime", 1
DEFAULT_MODEL = "model_int8.onnx"
MAX_BYTES = 1 << 20


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
    try:
        with (folder / CHOICE_FILE).open("rb") as file:
            choice = _read(folder, file.read(MAX_BYTES))
    except FileNotFoundError:
        return Choice(_default(folder))
    if not choice.path.is_file():
        raise ModelFileNotFoundError(
            f"{folder / CHOICE_FILE}: names {choice.path.name}, which is not there: {_again(folder)}"
        )
    return choice


def model_files(folder: Path) -> list[Path]:
    """The files of a folder that engines of ours read, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in DEFAULTS and path.is_file())


def _default(folder: Path) -> Path:
    files = model_files(folder)
    names = [path.name for path in files]
    if DEFAULT_MODEL in names or len(files) == 1:
        return files[names.index(DEFAULT_MODEL) if DEFAULT_MODEL in names else 0]
    if not files:
        raise ModelFileNotFoundError(
            f"{folder}: no {', '.join(DEFAULTS)} files in it; expected a readable model file or a folder of some"
        )
    raise ModelFileNotFoundError(
        f"{folder}: which of {', '.join(names)}? Name one, or let python -m runtime tune {folder} find the fastest"
    )


def _read(folder: Path, content: bytes) -> Choice:
    try:
        entries: Any = json.loads(content)
        version = entries["version"] if entries["format"] == FORMAT else None
        name, engine, threads, digest = (entries[key] for key in ("artifact", "engine", "threads", "sha256"))
        good = Path(name).name == name and isinstance(threads, int) and threads >= 1 and isinstance(engine, str)
        if version != VERSION or not good or not isinstance(digest, str):
            raise ValueError(f"format {entries['format']!r:.50}, version {version!r:.50}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFormatError(
            f"{folder / CHOICE_FILE}: not what tune of this version writes ({error!s:.100}): {_again(folder)}"
        ) from error
    return Choice(folder / name, engine, threads, digest)


def _again(folder: Path) -> str:
    return f"run python -m runtime tune {folder} again, or remove {CHOICE_FILE}"
