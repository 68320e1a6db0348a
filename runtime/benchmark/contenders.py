"""The contenders: every engine that reads a file, with one thread, two, and so on up to all cores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.engines.registry import engines
from runtime.errors import ModelFileNotFoundError, ModelFormatError
from runtime.system.child import interpreter
from runtime.system.processors import processors
from runtime.tuning import visible_files


@dataclass(frozen=True)
class Contender:
    """An engine that runs a model file with a number of threads.

    Attributes:
        backend, engine: the engine's name, and what its makers call it.
        artifact: the model file.
        threads: processor threads of the engine.
        command: what starts its process, which ``serve`` runs in; none where it is missing.
        missing: why it cannot take part; ``None`` where it can.
        install: the command that would install or mend it; one that is missing without it has failed.
    """

    backend: str
    engine: str
    artifact: Path
    threads: int
    command: tuple[str, ...] = ()
    missing: str | None = None
    install: str = ""


def thread_counts() -> tuple[int, ...]:
    """1, 2, 4, … and all cores that this process may use."""
    cores = processors()
    return (*(1 << power for power in range((cores - 1).bit_length())), cores)


def find_models(names: Iterable[str]) -> list[Path]:
    """The model files that arguments name: files as they are, of folders all that some engine reads.

    Raises:
        ModelFileNotFoundError: a folder has none, or a file is not there.
    """
    suffixes = {suffix for engine in engines() for suffix in engine.suffixes}
    paths = []
    for path in map(Path, names):
        found = visible_files(path, suffixes) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise ModelFileNotFoundError(f"{path}: no model file there; expected {', '.join(sorted(suffixes))}")
        paths += found
    return paths


def contenders(paths: Iterable[Path], threads: Sequence[int]) -> list[Contender]:
    """Every engine on every file that it reads; one that is not installed stands there once.

    Raises:
        ModelFormatError: no engine reads a file.
    """
    listed = []
    for path in paths:
        able = [engine for engine in engines() if path.suffix.lower() in engine.suffixes]
        if not able:
            raise ModelFormatError(f"{path}: no engine reads files of this suffix")
        for engine in able:
            named = (engine.name, engine.title, path)
            if engine.missing:
                listed.append(Contender(*named, threads[0], missing=engine.missing, install=engine.install))
                continue
            for count in threads:
                command = (*interpreter(), "-m", "runtime.benchmark.worker", engine.name, str(path), str(count))
                listed.append(Contender(*named, count, command, install=engine.install))
    return listed
