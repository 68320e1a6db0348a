"""Read untrusted files: regular files only, and only up to a given size."""

import errno
import json
import os
import stat
from typing import Any, BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BLOCK = 1 << 20
MAX_VALUES = 1_000_000
"""Most values in a JSON text; parsed they take about 100 MB."""
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading.

    Devices and pipes are refused: a device may be endless, and reading a pipe may block forever.

    Raises:
        OSError: there is no such file (``FileNotFoundError``), it is a folder (``IsADirectoryError``), it is not a
            regular file, or it cannot be opened. ``strerror`` gives the reason.
    """
    try:
        # Checked before opening, because opening a pipe or a device can have side effects.
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
        limit: largest accepted size in bytes; a larger file is refused before memory is allocated.

    Raises:
        OSError: as ``open_regular``, or the file is larger than ``limit`` (``errno.EFBIG``).
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, limit) + 1)
        if len(content) > size:  # it is growing, or its file system reports no size
            while len(content) <= limit and (block := file.read(_BLOCK)):
                content += block
    if max(size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes, the limit for this file", os.fspath(path))
    return content


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that may be hostile: texts such as ``[{},{},…`` take many times their size in memory when parsed.

    Raises:
        ValueError: not JSON, nested too deeply, or more than ``MAX_VALUES`` values.
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
