"""HEIC and HEIF (ISO/IEC 23008-12): the sizes that the container names; its streams are not read."""

from runtime.image.header import avif
from runtime.image.header.base import Header, Reader


def read(reader: Reader) -> Header:
    """As of AVIF; the decoder makes a copy more.

    Raises:
        ImageDecodeError: cut off, or without a picture.
    """
    return avif.read(reader)._replace(kind="HEIC", pixel_bytes=16, is_bounded=False)
