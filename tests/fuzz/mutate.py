"""Ways to damage a file; each takes bytes and a generator and returns other bytes."""

import random
import struct
import zlib
from collections.abc import Sequence

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SIDES = (0, 1, 2, 255, 4096, 13_377, 16_383, 32_767, 65_500, 65_535, 100_000, 2**31 - 1, 2**32 - 1)


def flip_bits(content: bytes, random_: random.Random) -> bytes:
    """One to sixteen bits anywhere."""
    changed = bytearray(content)
    for _ in range(random_.choice((1, 1, 2, 4, 16))):
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, random_: random.Random) -> bytes:
    """A run of bytes, equal or random."""
    start, length = random_.randrange(len(content)), random_.choice((1, 4, 16, 64, 300))
    run = random_.choice((bytes(length), b"\xff" * length, random_.randbytes(length)))
    return content[:start] + run[: len(content) - start] + content[start + length :]


def number(content: bytes, random_: random.Random) -> bytes:
    """A number of extreme size, where headers lie more often than elsewhere."""
    size, order = random_.choice((1, 2, 4)), random_.choice(("little", "big"))
    end = min(len(content), random_.choice((32, 128, len(content))))
    start = random_.randrange(max(1, end - size))
    value = random_.choice(EXTREMES) & (256**size - 1)
    return content[:start] + value.to_bytes(size, order) + content[start + size :]  # type: ignore[arg-type]


def truncate(content: bytes, random_: random.Random) -> bytes:
    """Keep only the beginning."""
    return content[: random_.randrange(len(content))]


def delete(content: bytes, random_: random.Random) -> bytes:
    """Delete a run of bytes."""
    start = random_.randrange(len(content))
    return content[:start] + content[start + random_.choice((1, 2, 8, 100)) :]


def repeat(content: bytes, random_: random.Random) -> bytes:
    """Repeat a run of bytes twice, or a hundred times."""
    start = random_.randrange(len(content))
    run = content[start : start + random_.choice((1, 8, 100))]
    return content[:start] + run * random_.choice((1, 2, 100)) + content[start:]


def splice(content: bytes, other: bytes, random_: random.Random) -> bytes:
    """The beginning of one and the end of another."""
    return content[: random_.randrange(len(content))] + other[random_.randrange(len(other)) :]


def lie(content: bytes, random_: random.Random) -> bytes:  # noqa: C901 - a branch a format
    """Change the width and height in the header; keep the data."""
    width, height = (random_.choice(SIDES) for _ in range(2))
    changed = bytearray(content)
    if content.startswith(b"\x89PNG"):
        changed[16:24] = struct.pack(">II", width, height)
        return mend_png(bytes(changed))
    if content.startswith(b"\xff\xd8"):
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            place = content.find(marker)
            if 0 <= place < len(content) - 9:
                changed[place + 5 : place + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif content.startswith(b"GIF8"):
        place = random_.choice((6, max(6, content.find(b"\x2c") + 5)))
        changed[place : place + 4] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif content.startswith(b"BM"):
        changed[18:26] = struct.pack("<II", width, height)
    elif content[8:15] == b"WEBPVP8":
        place = 24 if content[15:16] == b"X" else 26
        changed[place : place + 6] = random_.randbytes(6)
    elif content[:2] in (b"II", b"MM"):
        order = "<" if content[:2] == b"II" else ">"
        for tag, value in ((256, width), (257, height)):
            place = content.find(struct.pack(order + "H", tag))
            if 0 <= place < len(content) - 12:
                changed[place + 2 : place + 12] = struct.pack(order + "HII", 4, 1, value)
    elif content[:1] == b"P" and content[1:2].isdigit():
        lines = content.split(b"\n", 2)
        return b"\n".join([lines[0], b"%d %d" % (width, height), *lines[2:]])
    else:
        return number(content, random_)
    return bytes(changed)


def mend_png(content: bytes) -> bytes:
    """Correct the checksums, so that the damage reaches the code that reads the chunks."""
    mended, place = bytearray(content), 8
    while place + 12 <= len(mended):
        length = int.from_bytes(mended[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[place + 4 : end]).to_bytes(4)
        place = end + 4
    return bytes(mended)


WAYS = (flip_bits, flip_bits, overwrite, number, number, truncate, delete, repeat, lie, lie)


def mutate(content: bytes, others: Sequence[bytes], random_: random.Random) -> bytes:
    """One to three kinds of damage."""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        if not content:
            break
        if random_.random() < 0.1:
            content = splice(content, random_.choice(others), random_)
        else:
            content = random_.choice(WAYS)(content, random_)
    if content.startswith(b"\x89PNG") and random_.random() < 0.7:
        content = mend_png(content)
    return content
