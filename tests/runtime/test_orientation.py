"""Photos are turned as by Pillow's ``exif_transpose``, for all places and encodings of the orientation."""

import io
import itertools
import struct
import zlib
from functools import cache

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

from fuzz.seeds import pillow_has
from runtime import ModelSpec
from runtime.image.load import load_pixels

SPEC = ModelSpec(8, ("a", "b"))
SPEC_64 = ModelSpec(64, ("a", "b"))
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_SHORT, SIGNED_LONG, FLOAT = 1, 2, 3, 4, 5, 7, 8, 9, 11
FORMS = {BYTE: "B", SHORT: "H", LONG: "I", SIGNED_SHORT: "h", SIGNED_LONG: "i", FLOAT: "f", UNDEFINED: "B"}

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow complains of odd directories


def picture():
    """Eight by eight tiles of random colors: no turn leaves it as it is."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST)


def directory(order, value, kind=SHORT, count=1, before=()):
    """A TIFF header and one directory, which says how the picture is turned."""
    sign = "<" if order == "II" else ">"
    number = struct.pack(sign + FORMS[kind], value) * count if kind in FORMS else value
    if kind == RATIONAL:
        number = struct.pack(sign + "II", 6, 1)
    header = order.encode() + struct.pack(sign + "HI", 42, 8)
    rows = [*before, (0x0112, kind, count, number)]
    place = 8 + 2 + 12 * len(rows) + 4
    content = b""
    for tag, type_, values, data in rows:
        content += struct.pack(sign + "HHI", tag, type_, values)
        content += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(sign + "I", place)
    tail = b"".join(data for *_, data in rows if len(data) > 4)
    return header + struct.pack(sign + "H", len(rows)) + content + bytes(4) + tail


def xmp(value, *, as_attribute):
    inner = f'tiff:Orientation="{value}"/>' if as_attribute else f"><tiff:Orientation>{value}</tiff:Orientation>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {inner}</x:xmpmeta>'.encode()


def encoded(image_format, **options):
    stream = io.BytesIO()
    picture().save(stream, image_format, **options)
    return stream.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks):
    """With these chunks before its pixels."""
    content = encoded("PNG")
    return content[:33] + b"".join(chunk(name, data) for name, data in chunks) + content[33:]


def jpeg(*segments):
    content = encoded("JPEG", quality=98, subsampling="4:4:4")
    return (
        content[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data for data in segments) + content[2:]
    )


def raw_profile(exif, *, compressed=False):
    text = f"\nexif\n{len(exif):8}\n".encode() + b"\n".join(
        exif.hex()[at : at + 72].encode() for at in range(0, len(exif.hex()), 72)
    )
    key = b"Raw profile type exif\0"
    return (b"zTXt", key + b"\0" + zlib.compress(text)) if compressed else (b"tEXt", key + text)


def itxt(content):
    return b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + content


def forms():
    """Name and content of every encoding of the orientation."""
    for order, value in itertools.product(("II", "MM"), range(10)):
        block = b"Exif\0\0" + directory(order, value)
        for kind in FORMS:
            yield f"JPEG {order} type {kind} {value}", jpeg(b"Exif\0\0" + directory(order, value, kind))
        yield (
            f"JPEG {order} {value} after other tags",
            jpeg(b"Exif\0\0" + directory(order, value, LONG, before=[(0x010F, ASCII, 9, b"a camera\0")])),
        )
        yield f"JPEG {order} {value} twice marked", jpeg(b"Exif\0\0" + block)
        yield f"PNG eXIf {order} {value}", png((b"eXIf", directory(order, value)))
        yield f"PNG eXIf as LONG {order} {value}", png((b"eXIf", directory(order, value, LONG)))
        yield f"PNG raw profile {order} {value}", png(raw_profile(block))
        yield f"PNG raw profile, compressed, {order} {value}", png(raw_profile(block, compressed=True))
        yield f"WebP {order} {value}", encoded("WEBP", exif=block, lossless=True)
    for order, kind in itertools.product(("II", "MM"), (SHORT, LONG)):
        yield f"JPEG {order} two of {kind}", jpeg(b"Exif\0\0" + directory(order, 6, kind, count=2))
        yield f"JPEG {order} none of {kind}", jpeg(b"Exif\0\0" + directory(order, 6, kind, count=0))
        yield f"JPEG {order} cut off, {kind}", jpeg(b"Exif\0\0" + directory(order, 6, kind)[:18])
    yield "JPEG rational", jpeg(b"Exif\0\0" + directory("MM", 6, RATIONAL))
    for value, as_attribute in itertools.product(range(10), (False, True)):
        text = xmp(value, as_attribute=as_attribute)
        segment = b"http://ns.adobe.com/xap/1.0/\0" + text
        yield f"JPEG XMP {value} {as_attribute}", jpeg(segment)
        yield (
            f"JPEG XMP {value} {as_attribute} beside EXIF without",
            jpeg(b"Exif\0\0" + directory("II", 6).replace(b"\x12\x01", b"\x11\x01"), segment),
        )
        yield f"JPEG XMP {value} {as_attribute} beside EXIF", jpeg(b"Exif\0\0" + directory("MM", 3), segment)
        yield f"PNG XMP {value} {as_attribute}", png(itxt(text))
        yield f"WebP XMP {value} {as_attribute}", encoded("WEBP", xmp=text, lossless=True)
        yield f"TIFF XMP {value} {as_attribute}", encoded("TIFF", tiffinfo={700: text})
    for value in range(1, 9):
        yield f"TIFF {value}", encoded("TIFF", tiffinfo={0x0112: value})
        yield f"compressed TIFF {value}", encoded("TIFF", tiffinfo={0x0112: value}, compression="tiff_lzw")
        yield f"PNG {value} behind the pixels", png()[:-12] + chunk(b"eXIf", directory("MM", value, LONG)) + png()[-12:]
        if pillow_has("avif"):
            exif = Image.Exif()
            exif[0x0112] = value
            yield f"AVIF {value}", encoded("AVIF", exif=exif, quality=95, subsampling="4:4:4")


@cache
def everything():
    """Content by name."""
    return dict(forms())


def by_pillow(content):
    """The picture turned by Pillow; unchanged if Pillow cannot read the orientation."""
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        try:
            turned = ImageOps.exif_transpose(opened)
        except Exception:  # noqa: BLE001
            turned = opened
        return np.asarray(turned.convert("RGB").resize((8, 8), Image.Resampling.BILINEAR)).astype(int)


needs_new_pillow = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 12, reason="older ones turn fewer forms by themselves"
)


@needs_new_pillow
@pytest.mark.parametrize("group", ["JPEG", "PNG", "WebP", "TIFF", "compressed", "AVIF"])
def test_every_form_is_turned_as_pillow_turns_it(group):
    chosen = {name: content for name, content in everything().items() if name.startswith(group)}
    if not chosen:
        pytest.skip(f"this Pillow has no {group}")
    off = {
        name: np.abs(load_pixels(content, SPEC).astype(int) - by_pillow(content)).mean()
        for name, content in chosen.items()
    }
    assert {name: distance for name, distance in off.items() if distance > 3} == {}  # a wrong turn is 80


@needs_new_pillow
def test_the_forms_turn():
    """They would agree, too, if none were read."""
    upright = np.asarray(picture().resize((8, 8), Image.Resampling.BILINEAR)).astype(int)
    turned = [name for name, content in everything().items() if np.abs(by_pillow(content) - upright).mean() > 20]
    for start in ("JPEG II type 4", "JPEG MM type 4", "PNG raw profile", "PNG XMP", "WebP", "TIFF", "JPEG XMP"):
        assert sum(name.startswith(start) for name in turned) >= 7, start


def test_a_model_may_ask_for_photos_as_they_are_stored():
    content = jpeg(b"Exif\0\0" + directory("MM", 6))
    stored = ModelSpec(64, ("a", "b"), ignore_orientation=True)
    assert (load_pixels(content, stored) == load_pixels(jpeg(), SPEC_64)).all()
    assert (load_pixels(content, SPEC_64) != load_pixels(jpeg(), SPEC_64)).any()
    assert ModelSpec.from_json(stored.to_json()) == stored
    assert "orientation" not in SPEC_64.to_json()  # which earlier runtimes read
