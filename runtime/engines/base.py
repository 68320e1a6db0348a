"""The interface of an engine (``Backend``), and the types that engines and the classifier exchange."""

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
"""Probabilities float32 (N, C), and one familiarity score per image, float32 (N,): higher is more like training."""
FAMILIARITY = "familiarity"
"""Name of the graph output that holds the familiarity score."""
MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024
"""Largest size of a spec, a golden set or a manifest; larger ones are not read."""


class Tensor(NamedTuple):
    """An input or output as the graph declares it; ``None`` in ``shape`` is a dynamic axis."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} [{', '.join('N' if axis is None else str(axis) for axis in self.shape)}]"


class FileFormat(NamedTuple):
    """A kind of model file.

    Attributes:
        suffix: in lower case, e.g. ``.tflite``.
        title: name for messages.
        magic: bytes at ``offset`` that identify the format; empty if it has none.
        offset: position of ``magic`` in bytes.
        magic_title: name of these bytes in messages.
    """

    suffix: str
    title: str
    magic: bytes = b""
    offset: int = 0
    magic_title: str = ""


class Backend(Protocol):
    """A loaded model; thread-safe. The registry uses the class's attributes without importing the engine's package."""

    engine: ClassVar[str]
    """Name of the engine, as ``--engine`` takes it."""
    title: ClassVar[str]
    """Official name of the engine."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files that it reads, in lower case."""
    package: ClassVar[str]
    """Package that ``import_engine`` imports; the engine counts as installed if this package can be found."""
    install: ClassVar[str]
    """Command that installs the package."""
    distribution: ClassVar[str]
    """Name of the package on PyPI."""
    file_format: ClassVar[FileFormat | None]
    """The file format that this engine runs by default; ``None`` if it is not the default of any."""
    color: ClassVar[str]
    """Color of its bars and lines in a report, ``#rrggbb``; after Okabe and Ito (2008)."""
    marker: ClassVar[str]
    """Matplotlib marker of its points in a report."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spec_json: str | bytes | None
    """The spec in the model file; ``None`` if it has none."""
    golden_json: str | bytes | None
    """The golden set in the model file; ``None`` if it has none."""

    @staticmethod
    def read_graph(content: bytes) -> "Graph":
        """Read the operators of a model file without loading it into the engine.

        Raises:
            ValueError: they cannot be read.
        """
        ...

    @staticmethod
    def import_engine() -> ModuleType:
        """Import the engine's package without output.

        Raises:
            ImportError: it is missing or broken.
        """
        ...

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        """Load a model.

        Args:
            content: the bytes of the model file.
            name: name of the file in messages.
            threads: intra-op threads.

        Raises:
            EdgecnnError: the engine cannot load it.
        """

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """Run a batch as the graph's input declares it, usually uint8 (N, H, W, 3); return float32 (N, C)."""
        ...


def one_by_one(run: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[Any]:
    """Run a batch of any length on a graph that takes one image, and concatenate the results."""
    if len(values) == 1:
        return run(values)
    if not len(values):
        return run(np.zeros((1, *values.shape[1:]), values.dtype))[:0]
    return np.concatenate([run(image[np.newaxis]) for image in values])
