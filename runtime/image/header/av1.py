"""Read the frame size from an AV1 stream (AV1 Bitstream & Decoding Process Specification, 5.3 and 5.5)."""

from typing import NamedTuple

from runtime.image.header.base import damaged

_SEQUENCE_HEADER = 1
_MAX_UNITS = 10_000


class Frame(NamedTuple):
    """Width and height in pixels; ``is_bounded``: no frame can be more than about twice as wide or high."""

    width: int
    height: int
    is_bounded: bool


def largest_frame(stream: bytes) -> Frame:
    """Return the largest frame size in the stream's sequence headers; 0 x 0 if there is none.

    Raises:
        ImageDecodeError: a unit (OBU) is cut off.
    """
    position, largest = 0, Frame(0, 0, is_bounded=False)
    for _ in range(_MAX_UNITS):
        if position >= len(stream):
            break
        flags = stream[position]
        position += 2 if flags & 4 else 1
        length = len(stream) - position
        if flags & 2:
            length, position = _leb128(stream, position)
        if flags >> 3 & 15 == _SEQUENCE_HEADER:
            frame = _frame_size(stream[position : position + length])
            is_bounded = frame.is_bounded and (largest.is_bounded or not largest.width)
            largest = max(largest, frame, key=lambda size: size.width * size.height)._replace(is_bounded=is_bounded)
        position += length
    return largest


def _leb128(stream: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(stream[position : position + 8]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise damaged("an AV1 unit without a length")


class _Bits:
    """A reader of successive numbers of given bit lengths."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content), 8 * len(content)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise damaged("an AV1 sequence header cut off")
        return self._value >> self._left & (1 << count) - 1

    def take_uvlc(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return self.take(zeros) + (1 << zeros) - 1 if zeros < 32 else 2**32 - 1


def _frame_size(content: bytes) -> Frame:
    bits = _Bits(content)
    bits.take(4)  # seq_profile, still_picture
    if bits.take(1):  # reduced_still_picture_header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    # A frame's own header may override the size with numbers of the same bit lengths.
    return Frame(width, height, is_bounded=1 << width_bits <= 2 * width and 1 << height_bits <= 2 * height)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        if bits.take(1):  # equal_picture_interval
            bits.take_uvlc()
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_initial_delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)  # seq_tier
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_initial_delays and bits.take(1):
            bits.take(4)
