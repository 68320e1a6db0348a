"""HEIC and HEIF images, the format of iPhone photos; decoded by the optional package pillow-heif."""

from typing import Any

from runtime.errors import HeicError

REMEDY = "pip install pillow-heif, or save as JPEG"
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


def is_heic(head: bytes) -> bool:
    """Return whether a file with these first 64 bytes holds images coded with HEVC (ISO/IEC 23008-12).

    All brands of the ``ftyp`` box are checked, because the first may be ``mif1``, which AVIF files have too.
    """
    if head[4:8] != b"ftyp":
        return False
    end = int.from_bytes(head[:4], "big")
    brands = head[8:12] + head[16:end]
    return any(brands[start : start + 4] in _BRANDS for start in range(0, len(brands), 4))


def decoder_class() -> Any:
    """Return the subclass of ``PIL.ImageFile.ImageFile`` that decodes HEIC.

    Raises:
        HeicError: pillow-heif is not installed.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise HeicError(f"a HEIC file: {REMEDY}") from error
    return HeifImageFile
