"""Engines that are benchmarked on the desk only, beside the engines of devices; one small file each.

Each file has a ``BACKEND``: it imports its engine when it is loaded, in a process of its own.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from runtime.benchmark.contenders import Contender
from runtime.benchmark.timed_model import TimedModel
from runtime.errors import EdgecnnError


@dataclass(frozen=True)
class DeskBackend:
    """One of them.

    Attributes:
        engine: what its makers call it.
        artifact: the file of an export folder that it runs.
        load: that folder and a number of threads to what is measured; called in the contender's own process.
        missing: why it cannot take part here; ``None`` where it can.
        install: the command that would install it.
        one_thread: whether it takes no number of threads.
        prepare: makes of that folder, in another that is empty, what ``load`` is then given in its place; not timed.
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
"""The module of each."""


def find(name: str) -> DeskBackend:
    """A backend by its name."""
    backend: DeskBackend = import_module(BACKENDS[name]).BACKEND
    return backend


def desk_contenders(folder: Path, threads: Sequence[int], scratch: Path) -> list[Contender]:
    """Each of them on its file of an export folder; those whose file was not exported stay away.

    Args:
        folder: what export wrote.
        threads: how many threads each is to have in turn.
        scratch: a folder for what some make of the file first; it must be there as long as they are.
    """
    listed = []
    for name in BACKENDS:
        backend = find(name)
        if not (folder / backend.artifact).is_file():
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
