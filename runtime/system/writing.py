"""Write files atomically, and check before the work that the target can be written."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import OutputError

LEFTOVER = ".edgecnn-"
"""Prefix of temporary files: of files being written, and of those that killed processes left."""
PROBE_BYTES = 64 * 1024
MEBIBYTE = 1024 * 1024

REMEDIES = {
    errno.EACCES: "let this user write there, or choose another place",
    errno.EPERM: "let this user write there, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or choose another disk",
}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success the file is synced and replaces ``path``."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=LEFTOVER, suffix=path.suffix)
    temporary = Path(name)
    try:
        _lock(descriptor)  # the system releases the lock when the process ends in any way
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically: a killed process leaves the old file or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def clear_leftovers(folder: Path) -> None:
    """Delete temporary files of ``atomic_path`` that killed processes left in a folder; keep those in use."""
    for path in folder.glob(f"{LEFTOVER}*"):
        if not path.is_file():
            continue
        with path.open("rb+") as file:
            if _lock(file.fileno()):
                path.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str], size: int = PROBE_BYTES) -> None:
    """Check before the work that a file can be written; the check leaves no file behind.

    Args:
        path: the file. If its folder is missing, the nearest existing parent is checked.
        size: bytes that must be free.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: not a regular file; give the name of a file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OutputError(f"{folder}: not a folder; choose another folder to write {path.name} to")
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder, prefix=LEFTOVER) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "choose another place")
        raise OutputError(f"{folder}: {path.name} cannot be written ({error.strerror}); {remedy}") from error
    if free < size:
        raise OutputError(
            f"{folder}: {free / MEBIBYTE:.0f} MiB are free, about {size / MEBIBYTE:.0f} are needed: "
            f"{REMEDIES[errno.ENOSPC]}"
        )


def _lock(descriptor: int) -> bool:
    """Lock the file exclusively; return ``False`` if another process holds it or the system has no such locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
