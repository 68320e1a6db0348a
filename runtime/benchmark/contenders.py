"""List the contenders of a benchmark: each model file on each engine that reads it, with several thread counts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.engines.registry import engines
from runtime.errors import BackendUnavailableError, ModelFileNotFoundError, ModelFormatError
from runtime.system.child import interpreter
from runtime.system.processors import processors
from runtime.tuning import visible_files


@dataclass(frozen=True)
class Contender:
    """An engine that runs a model file with a number of threads.

    Attributes:
        backend: name of the engine, e.g. ``onnxruntime``.
        engine: official name of the engine.
        artifact: the model file.
        threads: intra-op threads of the engine.
        command: command line of its worker process; empty if the engine is missing.
        missing: why it cannot take part; ``None`` if it can.
        install: command that installs or repairs the engine; without one, a missing contender counts as failed.
    """

    backend: str
    engine: str
    artifact: Path
    threads: int
    command: tuple[str, ...] = ()
    missing: str | None = None
    install: str = ""


def thread_counts() -> tuple[int, ...]:
    """Return the thread counts to try: 1, 2, 4, … and the number of processors that this process may use."""
    cores = processors()
    return (*(1 << power for power in range((cores - 1).bit_length())), cores)


def find_models(names: Iterable[str]) -> list[Path]:
    """Return the named model files; a folder is replaced by all its files that an engine reads.

    Raises:
        ModelFileNotFoundError: a folder has no model file, or a file does not exist.
    """
    suffixes = {suffix for engine in engines() for suffix in engine.suffixes}
    paths = []
    for path in map(Path, names):
        found = visible_files(path, suffixes) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise ModelFileNotFoundError(f"{path}: no model file there; expected {', '.join(sorted(suffixes))}")
        paths += found
    return paths


def check_engines(names: Iterable[str], further: Iterable[str] = ()) -> None:
    """Refuse names that neither an engine has nor ``further`` lists.

    Raises:
        BackendUnavailableError: there is such a name; the message lists the known ones.
    """
    known = [*(engine.name for engine in engines()), *further]
    for name in names:
        if name not in known:
            raise BackendUnavailableError(f"no engine is called {name!r:.100}: there are {', '.join(known)}")


def contenders(paths: Iterable[Path], threads: Sequence[int], names: Collection[str] | None = None) -> list[Contender]:
    """List each engine on each file that it reads, once per thread count, or once if the engine is not installed.

    Args:
        paths: the model files.
        threads: the thread counts.
        names: of the engines to list; ``None`` for all.

    Raises:
        ModelFormatError: no engine reads one of the files.
    """
    listed = []
    for path in paths:
        able = [engine for engine in engines() if path.suffix.lower() in engine.suffixes]
        if not able:
            raise ModelFormatError(f"{path}: no engine reads files of this suffix")
        for engine in able:
            if names is not None and engine.name not in names:
                continue
            named = (engine.name, engine.title, path)
            if engine.missing:
                listed.append(Contender(*named, threads[0], missing=engine.missing, install=engine.install))
                continue
            for count in threads:
                command = (*interpreter(), "-m", "runtime.benchmark.worker", engine.name, str(path), str(count))
                listed.append(Contender(*named, count, command, install=engine.install))
    return listed
