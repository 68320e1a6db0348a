"""Files from other people, read with care: regular files only, and only up to a stated size."""

import errno
import json
import os
import stat
from typing import Any, BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BLOCK = 1 << 20
MAX_VALUES = 1_000_000
"""The most that a JSON text may hold, which then take some 100 MB."""
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading.

    A device may give bytes without end, and a pipe may never give any, so neither is opened.

    Raises:
        OSError: there is no such file, it cannot be opened, or it is not a regular file. ``strerror`` says which; a
            ``FileNotFoundError`` or an ``IsADirectoryError`` where it is one of those.
    """
    try:
        # Looked at before it is opened: opening a pipe or a device can itself have an effect.
        _refuse_irregular(os.stat(path).st_mode, path)
        file = os.fdopen(os.open(path, _FLAGS), "rb")
    except ValueError as error:  # a NUL in the path
        raise FileNotFoundError(errno.ENOENT, f"not a path ({error})", os.fspath(path)) from error
    try:
        _refuse_irregular(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a regular file whole.

    Args:
        path: the file.
        limit: the most bytes that it may hold; a larger file is refused before any memory is taken.

    Raises:
        OSError: as ``open_regular``, or the file is larger than ``limit`` (``errno.EFBIG``).
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, limit) + 1)
        if len(content) > size:  # it grows, or is of a file system that does not say how large it is
            while len(content) <= limit and (block := file.read(_BLOCK)):
                content += block
    if max(size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes, the most that is read", os.fspath(path))
    return content


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that may be hostile: ``[[[…`` and ``[{},{},…`` of a few bytes a value take many times their size.

    Raises:
        ValueError: not JSON, nested too deeply, or more than ``MAX_VALUES``.
    """
    content = text.encode() if isinstance(text, str) else text
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_irregular(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", os.fspath(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "of an unknown kind")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", os.fspath(path))
