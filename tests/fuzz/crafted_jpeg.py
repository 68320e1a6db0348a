"""JPEGs written by hand, whose data suffice for all declared pixels, with one or two bits per block."""

import struct
from collections.abc import Callable, Sequence
from functools import partial

from fuzz.seeds import image_seeds

BASELINE, PROGRESSIVE, ARITHMETIC = 0xC0, 0xC2, 0xC9
SIDE = 9459
GRAY = ((1, 0x11),)
COLOR = ((1, 0x11), (2, 0x11), (3, 0x11))
INK = (*COLOR, (4, 0x11))


def segment(marker: int, data: bytes) -> bytes:
    """A marker and its data."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _scan(components: Sequence[tuple[int, int]], bits: int, first: int = 0, last: int = 63) -> bytes:
    """A scan of zero bits: every block equals the one before."""
    head = bytes([len(components)]) + b"".join(bytes([number, 0]) for number, _ in components) + bytes([first, last, 0])
    return segment(0xDA, head) + bytes(-(-bits // 8))


def _empty(component: int, blocks: int) -> bytes:
    """An empty scan of a progressive file: end-of-band runs of 32,767 blocks."""
    bits = ("0" + "1" * 14) * -(-blocks // 32_767)
    bits += "1" * (-len(bits) % 8)
    runs = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    return segment(0xDA, bytes([1, component, 0, 1, 63, 0])) + runs


def jpeg(  # noqa: PLR0913 - what a file may vary in
    width: int,
    height: int,
    components: Sequence[tuple[int, int]] = GRAY,
    frame: int = BASELINE,
    *,
    scans: int = 0,
    before: bytes = b"",
    apart: bool = False,
) -> bytes:
    """Gray pixels.

    Args:
        width, height: in pixels.
        components: number and sampling factors of each.
        frame: kind of file.
        scans: how many empty ones follow the first.
        before: bytes before the frame.
        apart: whether each component has a scan of its own.
    """
    blocks = -(-width // 8) * -(-height // 8)
    most = max((factors >> 4) * (factors & 15) for _, factors in components)
    bits = 2 * blocks * sum((factors >> 4) * (factors & 15) for _, factors in components) // most + 64 * len(components)
    tables = segment(0xDB, b"\0" + b"\1" * 64)
    # One code, a single 0: no difference to the block before; no further coefficients.
    tables += segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\1" + bytes(15) + b"\0")
    head = struct.pack(">BHHB", 8, height, width, len(components))
    head += b"".join(bytes([number, factors, 0]) for number, factors in components)
    last = 0 if frame == PROGRESSIVE else 63
    groups = [[component] for component in components] if apart else [list(components)]
    data = b"".join(_scan(group, bits, 0, last) for group in groups)
    runs = segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0") if scans else b""
    data += runs + _empty(1, blocks) * scans
    return b"\xff\xd8" + before + tables + segment(frame, head) + data + b"\xff\xd9"


JPEGS: dict[str, Callable[[], bytes]] = {
    "JPEG of 264 megapixels": partial(jpeg, 16_248, 16_248),
    "JPEG of 4 gigapixels": partial(jpeg, 65_500, 65_500),
    "color JPEG of 64 megapixels": partial(jpeg, 8192, 8192, COLOR),
    "CMYK JPEG of 264 megapixels": partial(jpeg, 16_248, 16_248, INK),
    "JPEG whose components come one after the other": partial(jpeg, 16_248, 16_248, COLOR, apart=True),
    "the same of 64 megapixels": partial(jpeg, 8192, 8192, COLOR, apart=True),
    "the same in CMYK": partial(jpeg, 8192, 8192, INK, apart=True),
    "progressive JPEG": partial(jpeg, SIDE, SIDE, COLOR, PROGRESSIVE),
    "progressive JPEG of 64 megapixels": partial(jpeg, 8192, 8192, COLOR, PROGRESSIVE),
    "progressive gray JPEG of 264 megapixels": partial(jpeg, 16_248, 16_248, GRAY, PROGRESSIVE),
    "progressive JPEG of 100 scans": partial(jpeg, 8192, 8192, GRAY, PROGRESSIVE, scans=99),
    "progressive JPEG of 5,000 scans": partial(jpeg, 2048, 2048, GRAY, PROGRESSIVE, scans=4999),
    "JPEG of odd sampling factors": partial(jpeg, 16_248, 16_248, ((1, 0x44), (2, 0x11), (3, 0x11))),
    "JPEG of odd sampling factors, apart": partial(jpeg, 8192, 8192, ((1, 0x11), (2, 0x44), (3, 0x11)), apart=True),
    "JPEG in arithmetic coding": partial(jpeg, 8192, 8192, COLOR, ARITHMETIC),
    "JPEG after 16 MB of fill": lambda: jpeg(64, 64, before=b"\xff" * 2**24),
    "JPEG after 16 MB of garbage": lambda: jpeg(64, 64, before=bytes(2**24)),
    "JPEG after 500 Exif segments": lambda: jpeg(64, 64, before=segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 500),
    "JPEG after 100,000 Exif segments": lambda: jpeg(64, 64, before=segment(0xE1, b"Exif\0\0" + bytes(60)) * 100_000),
    "JPEG after 200 MB of comments": lambda: jpeg(64, 64, before=segment(0xFE, bytes(65_000)) * 3200),
    "JPEG after empty comments": lambda: jpeg(64, 64, before=segment(0xFE, b"") * 1_000_000),
    "JPEG of two frames": lambda: jpeg(64, 64, before=segment(BASELINE, b"\x08\xff\xff\xff\xff\1\1\x11\0")),
    "JPEG that goes on after its end": lambda: image_seeds()["jpeg"] + bytes(2**26),
}
