"""A lock on the folder of a training: a second training would overwrite the state of the first."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import artifacts
from pipeline.errors import FolderInUseError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file during the block; the operating system releases it when the process ends.

    Raises:
        FolderInUseError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / artifacts.TRAINING_LOCK
    descriptor = _lock(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 64).decode(errors="replace").strip()
            os.close(descriptor)
            raise FolderInUseError(
                f"{path.parent}: another training ({holder or 'process unknown'}) is running in this folder; "
                "wait for its end, stop it, or choose another folder with --out"
            ) from error
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
            return descriptor
        os.close(descriptor)  # a run ended between opening and locking, and deleted this file: try again
