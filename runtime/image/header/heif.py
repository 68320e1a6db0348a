"""HEIC and HEIF (ISO/IEC 23008-12): read the sizes in the container; the HEVC streams are not read."""

from runtime.image.header import avif
from runtime.image.header.base import Header, Reader


def read(reader: Reader) -> Header:
    """Read the boxes as for AVIF; the decoder takes more memory per pixel.

    Raises:
        ImageDecodeError: cut off, or without a picture.
    """
    return avif.read(reader)._replace(kind="HEIC", pixel_bytes=16, is_bounded=False)
