"""Read the weights of a PyTorch file, in the format before PyTorch 1.6, without PyTorch.

Such a file is five pickles (a magic number, a version, a description of the machine, the dictionary of tensors, the
names of the storages), then each storage: its number of elements (int64) and the elements, all little-endian. A pickle
can call any function that it names; this reader accepts four names and refuses all others.
"""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True)
class _Storage:
    """A storage that a tensor refers to; its elements follow after the pickles."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides are in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        self._check()
        self._check_reach(self.storage.count)

    def _check(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if not isinstance(self.storage, _Storage) or len(self.shape) != len(self.strides):
            raise WeightsError("a tensor without a storage, or with a stride missing")
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise WeightsError("a tensor whose shape is not made of whole numbers")

    def _check_reach(self, count: int) -> None:
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape or last >= count:
            raise WeightsError("a tensor that reaches beyond its storage")

    def of(self, elements: NDArray[Any]) -> NDArray[Any]:
        """Return the tensor as a new array, given the storage's elements."""
        self._check()  # again, because a pickle can modify objects that it has built
        self._check_reach(len(elements))
        steps = tuple(step * elements.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """An unpickler that accepts only the names that a dictionary of tensors needs."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the object of an accepted name.

        Raises:
            WeightsError: the name is another one.
        """
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module_name == "torch" and global_name in STORAGES:
            return STORAGES[global_name]
        raise WeightsError(f"asks for {module_name}.{global_name}, which no weights need")

    def persistent_load(self, pid: Any) -> _Storage:
        """Make a storage from its description: ("storage", type, key, device, number of elements, ``None``).

        Raises:
            WeightsError: the description is another one.
        """
        match pid:
            case ("storage", "<f4" | "<i8" as kind, str(key), str(), int(count), None) if count >= 0:
                return _Storage(key, np.dtype(kind), count)
        raise WeightsError(f"refers to {pid!r:.60}, which is no storage")


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Read the tensors of a file: name -> float32 or int64 array.

    Raises:
        WeightsError: the file has another format, is damaged, or names other objects than tensors.
    """
    file = io.BytesIO(content)
    try:
        magic, version, _, named, keys = (_Unpickler(file).load() for _ in range(5))
        if (magic, version) != (MAGIC, VERSION):
            raise WeightsError("not a PyTorch file of the format before 1.6")
        if not isinstance(named, Mapping) or not all(isinstance(value, _Tensor) for value in named.values()):
            raise WeightsError("holds no dictionary of tensors")
        storages = {tensor.storage.key: tensor.storage for tensor in named.values()}
        elements = {key: _elements(file, storages[key]) for key in keys}
        return {str(name): tensor.of(elements[tensor.storage.key]) for name, tensor in named.items()}
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise WeightsError(f"damaged, or no PyTorch file ({type(error).__name__})") from error


def _elements(file: io.BytesIO, storage: _Storage) -> NDArray[Any]:
    """Read the next storage of the file."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.count:
        raise WeightsError(f"states {storage.count} elements for a storage that has {count}")
    return np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype, count)
