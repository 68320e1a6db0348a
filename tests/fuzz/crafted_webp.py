"""A lossless WebP with as many code tables as the format allows (RFC 9649, 6.2)."""

import struct

SIDE = 1024
TILE_BITS = 2


class _Bits:
    """Writes numbers of given bit lengths, least significant bit first."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def put(self, value: int, count: int) -> None:
        self._texts.append(format(value, f"0{count}b")[::-1])

    def bytes(self) -> bytes:
        text = "".join(self._texts)
        text += "0" * (-len(text) % 8)
        return int(text[::-1], 2).to_bytes(len(text) // 8, "little")


def _single(bits: _Bits) -> None:
    """A code of one symbol, 0, that takes no bits."""
    bits.put(1, 1)  # simple
    bits.put(0, 1)  # one symbol
    bits.put(0, 1)  # of one bit
    bits.put(0, 1)


def _uniform(bits: _Bits, symbols: int) -> None:
    """A code of 256 symbols of 8 bits each; the others have none."""
    bits.put(0, 1)
    bits.put(8, 4)  # 12 lengths of the code for lengths, in the format's order 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8
    for length in (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1):
        bits.put(length, 3)
    bits.put(0, 1)  # all symbols have lengths
    for _ in range(256):  # of 8 and 18, 8 comes first
        bits.put(0, 1)
    left = symbols - 256
    while left:
        run = min(left, 138)
        bits.put(1, 1)
        bits.put(run - 11, 7)
        left -= run


def many_codes() -> bytes:
    """One megapixel in tiles of 4x4, each with five codes of its own: 65,536 times five."""
    bits = _Bits()
    bits.put(SIDE - 1, 14)
    bits.put(SIDE - 1, 14)
    bits.put(0, 4)  # no alpha, version 0
    bits.put(0, 1)  # no transform
    bits.put(0, 1)  # no color cache
    bits.put(1, 1)  # several groups of codes
    bits.put(TILE_BITS - 2, 3)
    bits.put(0, 1)  # the picture that says which: no color cache
    _uniform(bits, 256 + 24)  # green
    _uniform(bits, 256)  # red
    for _ in range(3):
        _single(bits)
    for number in range((SIDE >> TILE_BITS) ** 2):
        for value in (number & 255, number >> 8):  # green, red: codes are kept from their highest bit
            bits.put(int(format(value, "08b")[::-1], 2), 8)
    for _ in range(5 * (SIDE >> TILE_BITS) ** 2):
        _single(bits)
    data = b"\x2f" + bits.bytes()
    data += bytes(len(data) % 2)
    body = b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
