"""HEIC pictures with and without the package that decodes them."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from runtime.errors import HeicError, ImageDecodeError
from runtime.image import heif
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

SPEC = ModelSpec(32, ("a", "b"))


def ftyp(major, *compatible):
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return (4 + len(box)).to_bytes(4, "big") + box


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ftyp(b"heic", b"mif1", b"heic"), True),
        (ftyp(b"mif1", b"mif1", b"heic"), True),
        (ftyp(b"msf1", b"hevc"), True),
        (ftyp(b"heix"), True),
        (ftyp(b"avif", b"mif1", b"miaf"), False),
        (ftyp(b"mif1", b"avif"), False),
        (ftyp(b"isom", b"mp42"), False),
        (ftyp(b"mif1") + b"heic", False),  # behind the box
        (b"", False),
    ],
)
def test_the_brands_tell_heic_from_its_relatives(head, expected):
    assert heif.is_heic(head) is expected


def test_without_the_package_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(HeicError, match=r"^148 bytes: a HEIC file: pip install pillow-heif, or save as JPEG$"):
        load_pixels(ftyp(b"heic", b"mif1", b"heic") + bytes(124), SPEC)


@pytest.fixture
def encoded():
    """A function that makes a HEIC picture with a black upper half and an EXIF orientation."""
    pillow_heif = pytest.importorskip("pillow_heif")

    def encode(orientation=1):
        pixels = np.full((64, 64, 3), 255, np.uint8)
        pixels[:32] = 0
        picture, exif = Image.fromarray(pixels), Image.Exif()
        exif[0x0112] = orientation
        stream = io.BytesIO()
        pillow_heif.from_pillow(picture).save(stream, quality=-1, exif=exif.tobytes())
        return stream.getvalue()

    return encode


@pytest.mark.parametrize(("orientation", "black"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")])
def test_pictures_are_decoded_and_turned_upright(encoded, orientation, black):
    square = load_pixels(encoded(orientation), SPEC).mean(axis=2)
    halves = {"top": square[:12], "bottom": square[-12:], "left": square[:, :12], "right": square[:, -12:]}
    assert halves[black].max() < 8
    assert sum(half.mean() < 8 for half in halves.values()) == 1


def test_a_picture_that_is_cut_short_is_an_error(encoded):
    content = encoded()
    for length in (50, len(content) // 2, len(content) - 8):
        with pytest.raises(ImageDecodeError):
            load_pixels(content[:length], SPEC)


def test_a_picture_with_too_many_pixels_is_refused(encoded):
    size = b"ispe" + bytes(4) + (64).to_bytes(4, "big") * 2
    content = encoded()
    assert size in content
    with pytest.raises(ImageDecodeError, match="60000x60000 pixels"):
        load_pixels(content.replace(size, b"ispe" + bytes(4) + (60_000).to_bytes(4, "big") * 2), SPEC)
