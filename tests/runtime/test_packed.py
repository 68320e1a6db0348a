"""What model files carry in packed form: archives, pictures, JSON that ask for more memory than they are large."""

import base64
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from runtime import ModelFormatError, ModelSpecError
from runtime.engines.archive import MAX_MEMBERS, MAX_RATIO, SMALL_BYTES, read_members
from runtime.golden import GoldenSet
from runtime.system.files import MAX_VALUES, parse_json

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


@pytest.mark.parametrize("name", PICTURES)
def test_a_golden_picture_is_what_export_writes_or_refused(name):
    entries = GOLDEN | {"png": base64.b64encode(PICTURES[name]).decode()}
    with pytest.raises(ModelSpecError, match=r"^golden set is not readable"):
        GoldenSet.from_json(json.dumps(entries))


def test_a_golden_picture_as_export_writes_it_is_read():
    plain = GOLDEN | {"png": base64.b64encode(png(header(8, 16), DATA, END)).decode()}
    assert not GoldenSet.from_json(json.dumps(plain)).pixels.any()
    assert np.array_equal(GoldenSet.from_json(json.dumps(GOLDEN)).pixels, PIXELS)


@pytest.mark.parametrize("image_format", ["JPEG", "GIF", "WEBP", "TIFF"])
def test_a_golden_picture_of_another_format_is_refused(image_format):
    stream = io.BytesIO()
    Image.fromarray(PIXELS.reshape(16, 8, 3)).save(stream, image_format)
    with pytest.raises(ModelSpecError):
        GoldenSet.from_json(json.dumps(GOLDEN | {"png": base64.b64encode(stream.getvalue()).decode()}))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" + "[]," * MAX_VALUES + "0]",
        "[" + "{}," * MAX_VALUES + "0]",
        b"[" + b"0," * MAX_VALUES + b"0]",
        ("[" + "0," * MAX_VALUES + "0]").encode("utf-16"),
        "9" * 5000,
        b"\xff",
        "",
    ],
)
def test_json_is_held_to_a_depth_and_a_number_of_values(text):
    with pytest.raises(ValueError):  # noqa: PT011 - which reason does not matter
        parse_json(text)


def test_ordinary_json_is_parsed():
    assert parse_json('{"a": [1, 2.5, null, "\\u00fc, [{"]}') == parse_json('{"a": [1, 2.5, null, "ü, [{"]}'.encode())


def archive(*members, method=zipfile.ZIP_DEFLATED, prefix=b"TFL3"):
    stream = io.BytesIO(prefix)
    with zipfile.ZipFile(stream, "a", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def lying(content, size):
    """The archive with another unpacked size in its first entry, in both places that name it."""
    changed = bytearray(content)
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = changed.index(signature) + place
        changed[start : start + 4] = size.to_bytes(4, "little")
    return bytes(changed)


LIMITS = {"spec": 8 * MEGABYTE}
BOMB = archive(("spec", bytes(100 * MEGABYTE)))
ARCHIVES = {
    "larger than its limit": BOMB,
    "larger than it says": lying(BOMB, 100),
    "says nothing is in it": lying(BOMB, 0),
    "smaller than it says": lying(archive(("spec", b"{}")), 1000),
    "beyond its ratio": archive(("spec", bytes(SMALL_BYTES + 1))),
    "LZMA, whose dictionary is as large as it likes": archive(("spec", b"{}"), method=zipfile.ZIP_LZMA),
    "bzip2": archive(("spec", b"{}"), method=zipfile.ZIP_BZIP2),
    "members beyond number": archive(*[(f"{index}", b"") for index in range(MAX_MEMBERS)], ("spec", b"{}")),
    "changed": archive(("spec", bytes(1000)), method=zipfile.ZIP_STORED).replace(bytes(1000), bytes(999) + b"x"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_no_member_takes_more_than_it_may(name):
    with pytest.raises(ModelFormatError, match=r"^model\.tflite: its archive is damaged"):
        read_members(ARCHIVES[name], "model.tflite", LIMITS)


@pytest.mark.parametrize("size", [0, 1, 5000, SMALL_BYTES])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_whole(size, method):
    content = archive(("spec", bytes(size)), ("other", BOMB), method=method)
    assert read_members(content, "model.tflite", LIMITS) == {"spec": bytes(size)}


def test_well_packed_text_is_within_the_ratio():
    text = json.dumps({"class_names": [f"class number {index}" for index in range(100_000)]}).encode()
    packed = archive(("spec", text))
    assert SMALL_BYTES < len(text) < MAX_RATIO * len(packed)
    assert read_members(packed, "model.tflite", LIMITS)["spec"] == text
