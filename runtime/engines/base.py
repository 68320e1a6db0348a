"""The interface of an engine: the tensors and arrays that pass between it and the classifier."""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

Scored = tuple[Probabilities, NDArray[np.float32]]
"""Probabilities (N, C), and how familiar each image is, (N,): higher is more like those of the training."""
FAMILIARITY = "familiarity"
"""Name of the output that has the familiarity."""
MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024
"""The most that a spec, a golden set or a manifest may hold; larger ones are not read."""


class Tensor(NamedTuple):
    """An input or output as the graph declares it; ``None`` stands for an axis that it leaves open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} [{', '.join('N' if axis is None else str(axis) for axis in self.shape)}]"


class FileFormat(NamedTuple):
    """A kind of model file.

    Attributes:
        suffix: in lower case.
        title: its name in words.
        magic: the bytes at ``offset`` by which it is known; empty where it has none.
        offset: in bytes.
        magic_title: what messages call these bytes.
    """

    suffix: str
    title: str
    magic: bytes = b""
    offset: int = 0
    magic_title: str = ""


class Backend(Protocol):
    """A loaded model; safe to call from several threads. The class is what the registry knows, and imports nothing."""

    engine: ClassVar[str]
    """Its name, as ``--engine`` takes it."""
    title: ClassVar[str]
    """What its makers call it."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of the files that it reads, in lower case."""
    package: ClassVar[str]
    """What ``import_engine`` imports; looked for, but not imported, to say whether it is installed."""
    install: ClassVar[str]
    """The command that installs that."""
    distribution: ClassVar[str]
    """What PyPI calls it."""
    file_format: ClassVar[FileFormat | None]
    """The files that it runs when no engine is asked for; ``None`` where it is the default of none."""
    color: ClassVar[str]
    """Of its bars and lines in a report, ``#rrggbb``; after Okabe and Ito (2008)."""
    marker: ClassVar[str]
    """Of its points, as Matplotlib names it."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spec_json: str | bytes | None
    """The spec as the model file carries it, if it does."""
    golden_json: str | bytes | None
    """The golden set as the model file carries it, if it does."""

    @staticmethod
    def read_graph(content: bytes) -> "Graph":
        """The operators of a file of another exporter, without loading it; a ``ValueError`` if they cannot be read."""
        ...

    @staticmethod
    def import_engine() -> ModuleType:
        """The engine's package, imported quietly; an ``ImportError`` if it cannot be."""
        ...

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        """Load the bytes of a file, which messages call ``name``; any ``EdgecnnError`` may be raised."""

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """A batch as the input declares it, usually uint8 (N, S, S, 3), to float32 (N, C)."""
        ...


class ScoringBackend(Protocol):
    """A backend that also gives the second output of graphs that have one."""

    def scored(self, values: NDArray[Any]) -> Scored:
        """As calling it, with the familiarity of each image."""
        ...


def one_by_one(run: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[Any]:
    """A batch of any length through a graph that takes one image."""
    if len(values) == 1:
        return run(values)
    if not len(values):
        return run(np.zeros((1, *values.shape[1:]), values.dtype))[:0]
    return np.concatenate([run(image[np.newaxis]) for image in values])
