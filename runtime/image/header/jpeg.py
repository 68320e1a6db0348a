"""JPEG (ITU-T T.81, annex B): read the segments up to the first scan."""

from runtime.errors import ImageDecodeError
from runtime.image.header.base import MAX_METADATA, Header, Reader, damaged

_MAX_SEGMENTS = 4096
_MAX_FILL = 2**16
_FIRST, _END, _SCAN = 0xC0, 0xD9, 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_BASELINE_OR_EXTENDED = {0xC0, 0xC1}
_COEFFICIENT_BLOCK = 128  # 64 of 16 bits


def read(reader: Reader) -> Header:
    """Read the segments up to the first scan.

    Raises:
        ImageDecodeError: cut off, without a picture, or with too many bytes before it.
    """
    position, frame, code = 2, b"", 0
    for _ in range(_MAX_SEGMENTS):
        position, marker = _next_marker(reader, position)
        if marker in _STANDALONE:
            continue
        if marker == _END:
            break
        if marker < _FIRST:
            raise damaged("no marker found")
        length = reader.number(position, 2, "big")
        if marker in _FRAMES:
            frame, code = reader.bytes(position + 2, max(6, length - 2)), marker
        if marker == _SCAN:
            scanned = reader.number(position + 2, 1, "big")
            return _header(reader, frame, code, scan_components=scanned, metadata=position)
        position += length
        if position > MAX_METADATA:
            raise ImageDecodeError(f"more than {MAX_METADATA:,} bytes before the picture of a JPEG: save it again")
    raise damaged("a JPEG without a picture")


def _next_marker(reader: Reader, position: int) -> tuple[int, int]:
    """Find the next marker: the position after it, and its code. Fill bytes and a little garbage are skipped."""
    if (plain := reader.some(position, 2))[:1] == b"\xff" and plain[1:] not in {b"", b"\0", b"\xff"}:
        return position + 2, plain[1]
    window = reader.some(position, _MAX_FILL)
    start = window.find(b"\xff")
    while start >= 0:
        code = window[start:].lstrip(b"\xff")[:1]
        end = len(window) - len(window[start:].lstrip(b"\xff")) + 1
        if not code:
            break
        if code != b"\0":
            return position + end, code[0]
        start = window.find(b"\xff", end)
    raise damaged("no marker found")


def _header(reader: Reader, frame: bytes, code: int, scan_components: int, metadata: int) -> Header:
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise damaged("a JPEG whose picture begins without its size")
    height, width, components = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5]), frame[5]
    factors = [(frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(6, 6 + 3 * components, 3)]
    fixed = 5 * metadata  # Pillow keeps the segments, and joins and copies the EXIF segments
    # With several scans, the decoder stores the coefficients of all pixels before it computes the first pixel.
    is_gathered = code in _PROGRESSIVE or scan_components < components
    if is_gathered and factors:
        widest, highest = (max(1, *sizes) for sizes in zip(*factors, (1, 1), strict=True))
        columns, rows = -(-width // (8 * widest)), -(-height // (8 * highest))
        blocks = sum(columns * across * rows * down for across, down in factors)
        fixed += _COEFFICIENT_BLOCK * blocks + 3 * reader.size
    return Header(
        "JPEG",
        width,
        height,
        pixel_bytes=1 if components == 1 else 4,
        fixed_bytes=fixed,
        is_bounded=code in _BASELINE_OR_EXTENDED or code == 0xC2,
        needs_all_pixels=is_gathered,
    )
