"""Cache of photo features: a file for each backbone and view, to which records are appended.

A record has the key of a photo, a checksum and the features as float16. A killed process may leave an incomplete
record, which the next process cuts off; damaged records are ignored. If photos are added, only their features are
computed.
"""

import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.data.cifar10 import cache_dir
from pipeline.data.rows import empty
from pipeline.training.transfer import views
from pipeline.training.transfer.backbone import Backbone

READ_BATCH = 1_024
VERSION = 1
LARGEST = np.finfo(np.float16).max


def features(backbone: Backbone, pixels: NDArray[np.uint8], numbers: Sequence[int]) -> NDArray[np.float16]:
    """Compute features of views of photos, or read them from the cache.

    Args:
        backbone: that computes the features.
        pixels: uint8 (N, S, S, 3).
        numbers: of the V views; see ``views.view``.

    Returns:
        float16 (V, N, D), memory-mapped if large.
    """
    place = cache_dir() / "features" / f"v{VERSION}-{views.VERSION}-{backbone.digest[:32]}"
    keys = [views.key_of(square) for square in pixels]
    stores = {number: _Store(place / f"view{number}.bin", backbone.width) for number in numbers}
    total = sum(len(store.missing(keys)) for store in stores.values())
    with (
        tqdm(total=total, unit="view", desc="features", mininterval=0.5, disable=None if total else True) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for number, store in stores.items():
            missing = store.missing(keys)
            for start in range(0, len(missing), backbone.batch):
                chosen = missing[start : start + backbone.batch]
                seen = list(pool.map(lambda at: views.view(pixels[at], keys[at], number), chosen))  # noqa: B023 - at once
                store.add([keys[at] for at in chosen], backbone.features(np.stack(seen)))
                bar.update(len(chosen))
    result = empty((len(stores), len(keys), backbone.width), np.float16)
    for row, store in zip(result, stores.values(), strict=True):
        store.read(keys, row)
    return result


class _Store:
    """The cache file of one view."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.kind = path, np.dtype([("key", "V16"), ("crc", "<u4"), ("features", "<f2", (width,))])
        self._load()

    def _load(self) -> None:
        self.records, self.rows = np.zeros(0, self.kind), dict[bytes, int]()
        size = self.path.stat().st_size if self.path.is_file() else 0
        if torn := size % self.kind.itemsize:
            with self.path.open("r+b") as file:
                file.truncate(size - torn)
        if size < self.kind.itemsize:
            return
        self.records = np.memmap(self.path, self.kind, "r", shape=(size // self.kind.itemsize,))
        for row, record in enumerate(self.records):
            key = record["key"].tobytes()
            if record["crc"] == _checksum(key, record["features"]):
                self.rows[key] = row

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Return the indices of photos that are not cached; of equal photos only the first."""
        first = {key: at for at, key in reversed(list(enumerate(keys))) if key not in self.rows}
        return sorted(first.values())

    def add(self, keys: Sequence[bytes], found: NDArray[np.float32]) -> None:
        """Append records to the file, in one write."""
        records = np.zeros(len(keys), self.kind)
        records["features"] = np.clip(found, -LARGEST, LARGEST)
        for record, key in zip(records, keys, strict=True):
            record["key"] = key
            record["crc"] = _checksum(key, record["features"])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(records.tobytes())

    def read(self, keys: Sequence[bytes], out: NDArray[np.float16]) -> None:
        """Copy the features of photos into ``out``, float16 (N, D)."""
        self._load()
        for start in range(0, len(keys), READ_BATCH):
            rows = [self.rows[key] for key in keys[start : start + READ_BATCH]]
            out[start : start + len(rows)] = self.records["features"][rows]


def _checksum(key: bytes, values: NDArray[np.float16]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).tobytes(), zlib.crc32(key))
