"""Choose a folder's model file and engine: from ``runtime.json``, which ``tune`` writes, or by default."""

import json
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from runtime.engines.registry import file_formats
from runtime.errors import ModelFileNotFoundError, ModelFormatError
from runtime.system.files import parse_json, read_regular
from runtime.system.processors import thread_count_error
from runtime.text import first_of

TUNING_FILE = "runtime.json"
FORMAT, VERSION = "edgecnn-runtime", 1
DEFAULT_MODEL = "model_int8.onnx"
MAX_BYTES = 1 << 20
"""Largest accepted size of ``runtime.json``."""


class TunedModel(NamedTuple):
    """A model file and how to run it.

    Attributes:
        path: the model file.
        engine: name of the engine; ``None``: the default engine for the file's suffix.
        threads: intra-op threads of the engine.
        sha256: SHA-256 of the file when ``tune`` chose it; ``None``: not checked.
    """

    path: Path
    engine: str | None = None
    threads: int = 1
    sha256: str | None = None


@dataclass(frozen=True)
class Trial:
    """One measurement of ``tune``: a model file on an engine in one race, and its median latency in microseconds."""

    race: int
    artifact: str
    engine: str
    threads: int
    p50_us: float


@dataclass(frozen=True)
class Tuning:
    """Content of ``runtime.json``: the fastest way to run a folder's model, measured by ``tune`` on one device.

    Attributes:
        artifact: name of the model file.
        sha256: SHA-256 of the model file.
        engine: name of the engine.
        threads: intra-op threads of the engine.
        created: time of the measurement, UTC.
        reason: why this combination was chosen, in one sentence.
        device: description of the device by ``examine_machine``: ``board``, ``processor``, ``features``, ``emulated``.
        load_average: load average of the device before the first race.
        tried: the measurements of all races, the fastest of each race first.
    """

    artifact: str
    sha256: str
    engine: str
    threads: int
    created: str = ""
    reason: str = ""
    device: dict[str, Any] = field(default_factory=dict)
    load_average: float = 0.0
    tried: tuple[Trial, ...] = ()

    def __post_init__(self) -> None:
        texts = (self.artifact, self.sha256, self.engine, self.created, self.reason)
        if not all(isinstance(text, str) for text in texts) or Path(self.artifact).name != self.artifact:
            raise ValueError(f"file {self.artifact!r:.40} on engine {self.engine!r:.40}")
        is_number = isinstance(self.threads, int)
        reason = thread_count_error(self.threads) if is_number else f"a whole number, got {self.threads!r:.40}"
        if reason:
            raise ValueError(f"threads must be {reason}")

    def to_json(self) -> str:
        """Return the content of the file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Tuning":
        """Read ``to_json``'s output; entries that are only displayed may be missing.

        Raises:
            ValueError: not JSON, another version, or entries out of range.
            KeyError: entries are missing.
            TypeError: not a JSON object, or entries of the wrong type.
        """
        entries: Any = parse_json(content)
        if (entries["format"], entries["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{entries['format']!r:.40} of version {entries['version']!r:.40}")
        needed = {name: entries[name] for name in ("artifact", "sha256", "engine", "threads")}
        optional = {name: entries[name] for name in ("created", "reason", "device", "load_average") if name in entries}
        return cls(**needed, **optional, tried=tuple(Trial(**row) for row in entries.get("tried", ())))


def tuned_model(folder: Path) -> TunedModel:
    """Return the model that ``runtime.json`` names; without it ``model_int8.onnx``, or the folder's only model file.

    Raises:
        ModelFileNotFoundError: there is no model file, there are several but no ``model_int8.onnx``, or the file that
            ``runtime.json`` names is missing.
        ModelFormatError: ``runtime.json`` is not readable as written by this version of ``tune``.
    """
    chosen = folder / TUNING_FILE
    again = f"run python -m runtime tune {folder} again, or remove it"
    try:
        tuned = Tuning.from_json(read_regular(chosen, MAX_BYTES))
    except FileNotFoundError:
        return TunedModel(_default(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{chosen}: not what tune of this version writes ({error!s:.100}): {again}") from error
    if not (folder / tuned.artifact).is_file():
        raise ModelFileNotFoundError(f"{chosen}: names {tuned.artifact}, which does not exist: {again}")
    return TunedModel(folder / tuned.artifact, tuned.engine, tuned.threads, tuned.sha256)


def model_files(folder: Path) -> dict[str, Path]:
    """Return the model files of a folder by name.

    Raises:
        ModelFileNotFoundError: there is none.
    """
    known = file_formats()
    files = {path.name: path for path in visible_files(folder, known)}
    if not files:
        raise ModelFileNotFoundError(
            f"{folder}: no {', '.join(known)} files in it; expected a readable model file, or a folder that has some"
        )
    return files


def visible_files(folder: Path, suffixes: Container[str]) -> list[Path]:
    """Return the files of a folder with one of these suffixes, sorted by name.

    Hidden files are skipped: killed processes leave some, and macOS adds ``._*`` files on USB sticks.
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
        f"{folder}: which of {first_of(list(files))}? Name one, or let python -m runtime tune {folder} find the fastest"
    )
