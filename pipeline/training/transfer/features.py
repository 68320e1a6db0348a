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
KEY, SORTED = np.dtype("V16"), np.dtype("S16")
"""Types of keys in files and in comparisons; all have 16 bytes, so it is safe that ``S16`` ignores zeros at the end."""

Keys = NDArray[np.void]


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
    keys = np.array([views.key_of(square) for square in pixels], KEY)
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
                seen = list(pool.map(lambda at: views.view(pixels[at], keys[at].tobytes(), number), chosen))  # noqa: B023 - at once
                store.add(keys[chosen], backbone.features(np.stack(seen)))
                bar.update(len(chosen))
    result = empty((len(stores), len(keys), backbone.width), np.float16)
    for row, store in zip(result, stores.values(), strict=True):
        store.read(keys, row)
    return result


class _Store:
    """The cache file of one view."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.kind = path, np.dtype([("key", KEY), ("crc", "<u4"), ("features", "<f2", (width,))])
        self._load()

    def _load(self) -> None:
        self.records, self._known, self._rows = np.zeros(0, self.kind), np.zeros(0, SORTED), np.zeros(0, np.int64)
        size = self.path.stat().st_size if self.path.is_file() else 0
        if torn := size % self.kind.itemsize:
            with self.path.open("r+b") as file:
                file.truncate(size - torn)
        if size < self.kind.itemsize:
            return
        self.records = np.memmap(self.path, self.kind, "r", shape=(size // self.kind.itemsize,))
        sound = np.flatnonzero([each["crc"] == _checksum(each["key"], each["features"]) for each in self.records])
        self._known, first = np.unique(self.records["key"][sound].view(SORTED), return_index=True)
        self._rows = sound[first]

    def missing(self, keys: Keys) -> NDArray[np.int64]:
        """Return the indices of photos that are not cached; of equal photos only the first."""
        different, first = np.unique(keys.view(SORTED), return_index=True)
        return np.sort(first[~np.isin(different, self._known)])

    def add(self, keys: Keys, found: NDArray[np.float32]) -> None:
        """Append records to the file, in one write."""
        records = np.zeros(len(keys), self.kind)
        records["features"], records["key"] = np.clip(found, -LARGEST, LARGEST), keys
        for record in records:
            record["crc"] = _checksum(record["key"], record["features"])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(records.tobytes())

    def read(self, keys: Keys, out: NDArray[np.float16]) -> None:
        """Copy the features of photos into ``out``, float16 (N, D)."""
        self._load()
        for start in range(0, len(keys), READ_BATCH):
            rows = self._rows[np.searchsorted(self._known, keys[start : start + READ_BATCH].view(SORTED))]
            out[start : start + len(rows)] = self.records["features"][rows]


def _checksum(key: np.void, values: NDArray[np.float16]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).tobytes(), zlib.crc32(key.tobytes()))
