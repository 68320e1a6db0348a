"""Pack a folder as a reproducible ``.tar.gz``: its bytes depend only on names and content of the files."""

import gzip
import io
import tarfile
from pathlib import Path


def pack(folder: Path) -> bytes:
    """Return the archive of a folder: names sorted, no owners, no times, so that the same files give the same bytes."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            archive.add(path, path.relative_to(folder.parent), recursive=False, filter=_plain)
    return stream.getvalue()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    runs = member.isdir() or member.name.endswith(".sh")
    return member.replace(deep=False, mtime=0, mode=0o755 if runs else 0o644, uid=0, gid=0, uname="", gname="")
