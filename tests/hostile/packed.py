"""Pictures and archives inside model files that unpack to far more than their size."""

import base64
import io
import json
import struct
import zipfile
import zlib
from functools import cache, partial

import numpy as np

from runtime.engines.archive import MAX_MEMBERS, SMALL_BYTES
from runtime.golden import GoldenSet

MEGABYTE = 1 << 20
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
GOLDEN = json.loads(GoldenSet(PIXELS, np.full((2, 2), 0.5, np.float32), 0.1).to_json())
PNG = base64.b64decode(GOLDEN["png"])
HEADER = PNG[16:29]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks):
    return PNG[:8] + b"".join(chunk(name, data) for name, data in chunks)


def header(width, height, rest=HEADER[8:]):
    return b"IHDR", struct.pack(">II", width, height) + rest


DATA, END = (b"IDAT", zlib.compress(b"".join(bytes(1 + 24) for _ in range(16)))), (b"IEND", b"")
HUGE = header(28_000, 28_000)
PICTURES = {
    "text first": png((b"tEXt", struct.pack(">II", 8, 16)), HUGE, DATA, END),
    "text of the header's length first": png((b"tEXt", HEADER), HUGE, DATA, END),
    "second header": png(header(8, 16), HUGE, DATA, END),
    "header after the data": png(header(8, 16), DATA, HUGE, END),
    "animation": png(header(8, 16), (b"acTL", struct.pack(">II", 2, 0)), DATA, END),
    "text that unpacks": png(header(8, 16), (b"zTXt", b"x\0\0" + zlib.compress(bytes(MEGABYTE))), DATA, END),
    "16 bits": png(header(8, 16, b"\x10" + HEADER[9:]), DATA, END),
    "palette": png(header(8, 16, b"\x08\x03\0\0\0"), (b"PLTE", bytes(768)), DATA, END),
    "gray": png(header(8, 16, b"\x08\0\0\0\0"), DATA, END),
    "interlaced": png(header(8, 16, b"\x08\x02\0\0\1"), DATA, END),
    "no end": png(header(8, 16), DATA),
    "more behind the end": png(header(8, 16), DATA, END) + b"x",
    "no data": png(header(8, 16), END),
    "cut data": png(header(8, 16), (b"IDAT", DATA[1][:5]), END),
    "many chunks": png(header(8, 16), *[(b"IDAT", b"")] * 11_000, DATA, END),
    "a chunk beyond the end": png(header(8, 16)) + b"\xff\xff\xff\xffIDAT",
    "other format": b"",
    "JPEG": b"\xff\xd8\xff",
    "as long as its header": PNG[:29],
    "too large": png(HUGE, DATA, END),
}


def archive(*members, method=zipfile.ZIP_DEFLATED, prefix=b"TFL3"):
    stream = io.BytesIO(prefix)
    with zipfile.ZipFile(stream, "a", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def lying(content, size):
    """The archive with a false unpacked size in both headers of its first entry."""
    changed = bytearray(content)
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = changed.index(signature) + place
        changed[start : start + 4] = size.to_bytes(4, "little")
    return bytes(changed)


LIMITS = {"spec": 8 * MEGABYTE}


@cache
def bomb(name="spec", prefix=b"TFL3"):
    """An archive of 100 KB whose member unpacks to 100 MB; made once, because deflating takes a third of a second."""
    return archive((name, bytes(100 * MEGABYTE)), prefix=prefix)


def archives(name="spec", prefix=b"TFL3"):
    """Functions that make archives behind a prefix, whose member ``name`` is not to be unpacked."""

    def pack(content, method=zipfile.ZIP_DEFLATED, before=()):
        return archive(*before, (name, content), method=method, prefix=prefix)

    large = partial(bomb, name, prefix)
    return {
        "larger than its limit": large,
        "larger than it says": lambda: lying(large(), 100),
        "says nothing is in it": lambda: lying(large(), 0),
        "smaller than it says": lambda: lying(pack(b"{}"), 1000),
        "beyond its ratio": lambda: pack(bytes(SMALL_BYTES + 1)),
        "LZMA, whose dictionary is as large as it likes": lambda: pack(b"{}", zipfile.ZIP_LZMA),
        "bzip2": lambda: pack(b"{}", zipfile.ZIP_BZIP2),
        "members beyond number": lambda: pack(b"{}", before=[(f"{index}", b"") for index in range(MAX_MEMBERS)]),
        "changed": lambda: pack(bytes(1000), zipfile.ZIP_STORED).replace(bytes(1000), bytes(999) + b"x"),
    }


ARCHIVES = archives()
