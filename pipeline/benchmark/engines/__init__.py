"""Engines that are benchmarked only on the desktop machine, beside the engines of devices; one module each.

Each module defines ``BACKEND``, whose ``load`` imports the engine in the contender's own process.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from runtime.benchmark.contenders import Contender
from runtime.benchmark.timed_model import TimedModel
from runtime.errors import EdgecnnError


@dataclass(frozen=True)
class DeskBackend:
    """An engine of the desktop machine.

    Attributes:
        engine: full name of the engine.
        artifact: name of the file in an export folder that it runs.
        load: loads the file of an export folder with a number of threads; called in the contender's own process.
        missing: returns why the engine cannot run here, or ``None`` if it can.
        install: the command that installs it.
        one_thread: whether its number of threads cannot be set.
        prepare: converts the export folder into another, empty folder, which ``load`` then gets instead; not timed.
    """

    engine: str
    artifact: str
    load: Callable[[Path, int], TimedModel]
    missing: Callable[[], str | None] = lambda: None
    install: str = ""
    one_thread: bool = False
    prepare: Callable[[Path, Path], None] | None = None


BACKENDS = {
    "keras": "pipeline.benchmark.engines.keras_call",
    "keras-compiled": "pipeline.benchmark.engines.keras_compiled",
    "tensorflow": "pipeline.benchmark.engines.tensorflow_savedmodel",
    "onnxruntime-web": "pipeline.benchmark.engines.onnxruntime_web",
}
"""Name of each backend -> its module."""


def find(name: str) -> DeskBackend:
    """Import a backend by its name."""
    backend: DeskBackend = import_module(BACKENDS[name]).BACKEND
    return backend


def desk_contenders(
    folder: Path, threads: Sequence[int], scratch: Path, names: Collection[str] | None = None
) -> list[Contender]:
    """List each backend as a contender with its file of an export folder; backends without their file are left out.

    Args:
        folder: that export wrote.
        threads: the numbers of threads to measure each backend with.
        scratch: folder for files that backends prepare; it must exist as long as the contenders are used.
        names: of the backends to list; ``None`` for all.
    """
    listed = []
    for name in BACKENDS:
        backend = find(name)
        if not (folder / backend.artifact).is_file() or (names is not None and name not in names):
            continue
        source, missing, install = folder, backend.missing(), backend.install
        if backend.prepare and not missing:
            source = scratch / name
            source.mkdir()
            try:
                backend.prepare(folder, source)
            except EdgecnnError as error:
                missing, install = str(error), ""
        for count in threads[:1] if missing or backend.one_thread else threads:
            command = (sys.executable, "-m", "pipeline.benchmark.engines.worker", name, str(source), str(count))
            named = (name, backend.engine, folder / backend.artifact, count)
            listed.append(Contender(*named, command, missing=missing, install=install))
    return listed
