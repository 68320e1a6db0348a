"""Engines of the desk, which take part in the benchmark beside those that run on a device; one small file each.

Each file has a ``BACKEND``: it imports its engine when it is loaded, in a process of its own.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from runtime.benchmark.contenders import Contender
from runtime.benchmark.subject import Subject


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
    """

    engine: str
    artifact: str
    load: Callable[[Path, int], Subject]
    missing: Callable[[], str | None] = lambda: None
    install: str = ""
    one_thread: bool = False


BACKENDS = {
    "keras": "pipeline.backends.keras_call",
    "keras-compiled": "pipeline.backends.keras_compiled",
    "tensorflow": "pipeline.backends.tensorflow_function",
    "onnxruntime-web": "pipeline.backends.onnxruntime_web",
}
"""The module of each."""


def find(name: str) -> DeskBackend:
    """A backend by its name."""
    backend: DeskBackend = import_module(BACKENDS[name]).BACKEND
    return backend


def desk_contenders(folder: Path, threads: Sequence[int]) -> list[Contender]:
    """Each of them on its file of an export folder; those whose file was not exported stay away."""
    listed = []
    for name in BACKENDS:
        backend = find(name)
        if not (folder / backend.artifact).is_file():
            continue
        told = (name, backend.engine, folder / backend.artifact)
        missing = backend.missing()
        for count in threads[:1] if missing or backend.one_thread else threads:
            command = (sys.executable, "-m", "pipeline.backends.worker", name, str(folder), str(count))
            listed.append(Contender(*told, count, command, missing=missing, install=backend.install))
    return listed
