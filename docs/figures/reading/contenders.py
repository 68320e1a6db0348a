"""The two loaders that are compared, run in this process or in a new one."""

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.photo_cache import decode
from pipeline.data.photo_settings import Settings
from pipeline.data.scan import scan

BATCH_SIZE = 32


@dataclass(frozen=True)
class Cost:
    """The cost of reading a folder: wall-clock seconds, and CPU seconds of all cores."""

    wall_s: float
    processor_s: float


def edgecnn(root: Path, side: int) -> int:
    """List and decode photos and fill an empty cache; return the number of photos."""
    with empty_cache():
        listing = scan(root)
        spec = Settings(side=side, any_side=True).spec(listing.class_names)
        return len(decode(root, listing.files, spec).rows)


def keras(root: Path, side: int) -> int:
    """Iterate once over ``image_dataset_from_directory``, batched and prefetched; return the number of photos."""
    from keras.utils import image_dataset_from_directory
    from tensorflow import data

    images = image_dataset_from_directory(
        root, image_size=(side, side), batch_size=BATCH_SIZE, shuffle=False, verbose=False
    )
    return sum(int(batch.shape[0]) for batch, _ in images.prefetch(data.AUTOTUNE))


WAYS = {"edgecnn": edgecnn, "image_dataset_from_directory": keras}


def in_this_process(way: str, root: Path, side: int) -> Cost:
    """Time a loader in this process, with all libraries loaded."""
    started, processor_started = time.perf_counter(), time.process_time()
    WAYS[way](root, side)
    return Cost(time.perf_counter() - started, time.process_time() - processor_started)


def in_a_new_process(way: str, root: Path, side: int) -> Cost:
    """Time a loader in a new process, from the start of Python to its end, including imports."""
    started, processor_started = time.perf_counter(), _childrens_processor_s()
    command = [sys.executable, "-m", __name__, way, str(root), str(side)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own module
    return Cost(time.perf_counter() - started, _childrens_processor_s() - processor_started)


def _childrens_processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def empty_cache() -> Iterator[None]:
    """Use an empty, temporary cache during the block, and hide stderr."""
    before = os.environ.get("EDGECNN_DATA")
    with tempfile.TemporaryDirectory() as place, redirect_stderr(io.StringIO()):
        os.environ["EDGECNN_DATA"] = place
        try:
            yield
        finally:
            if before is None:
                del os.environ["EDGECNN_DATA"]
            else:
                os.environ["EDGECNN_DATA"] = before


if __name__ == "__main__":
    WAYS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
