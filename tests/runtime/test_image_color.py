"""Pictures of all kinds, and the pixels that each must give."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from runtime import ImageDecodeError, ModelSpec
from runtime.image.load import load_pixels

FILL = (10, 200, 90)
HAS_AVIF = "avif" in features.get_supported()
SPEC = ModelSpec(8, ("a", "b"), fill=FILL)
RED, BLUE, GRAY, ORANGE = (255, 0, 0), (0, 0, 255), (128, 128, 128), (250, 130, 20)


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def levels(source, spec=SPEC):
    """The color of a picture that must have only one color."""
    pixels = load_pixels(source, spec)
    assert pixels.shape == (spec.side, spec.side, 3)
    assert (pixels == pixels[0, 0]).all()
    return tuple(pixels[0, 0].tolist())


def near(levels, expected, tolerance):
    return np.abs(np.subtract(levels, expected)).max() <= tolerance


def rgb(color=ORANGE):
    return Image.new("RGB", (40, 30), color)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (40, 40), 200), (200, 200, 200)),
        (Image.new("1", (40, 40), 1), (255, 255, 255)),
        (Image.new("LA", (40, 40), (10, 255)), (10, 10, 10)),
        (Image.new("LA", (40, 40), (10, 0)), FILL),
        (Image.new("RGBA", (40, 40), (*RED, 255)), RED),
        (Image.new("RGBA", (40, 40), (*RED, 0)), FILL),
        (Image.new("CMYK", (40, 40), (0, 255, 255, 0)), RED),
        (rgb(BLUE).quantize(), BLUE),
        (Image.new("I;16", (40, 40), 0x8080), GRAY),
        (Image.new("I", (40, 40), 0x8080), GRAY),
        (rgb(ORANGE).convert("YCbCr"), ORANGE),
    ],
    ids=["L", "1", "LA", "LA-clear", "RGBA", "RGBA-clear", "CMYK", "P", "I;16", "I", "YCbCr"],
)
def test_every_mode_in_memory(image, expected):
    assert near(levels(image), expected, 2)


@pytest.mark.parametrize(
    ("image_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 2),
        ("JPEG", {"quality": 95, "progressive": True}, 2),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 3),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 3),
        ("TIFF", {"big_tiff": True}, 0),
        ("BMP", {}, 0),
        ("PPM", {}, 0),
    ],
)
def test_every_format(image_format, options, tolerance):
    assert near(levels(encoded(rgb(), image_format, **options)), ORANGE, tolerance)


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
def test_avif():
    assert near(levels(encoded(rgb(), "AVIF", quality=95)), ORANGE, 4)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "PPM", "BMP"])
def test_grayscale_files(image_format):
    assert near(levels(encoded(Image.new("L", (40, 40), 77), image_format)), (77, 77, 77), 1)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_files_are_averaged_not_sampled(image_format):
    checkers = Image.fromarray((np.indices((64, 64)).sum(0) % 2).astype(bool))
    assert near(levels(encoded(checkers, image_format), ModelSpec(8, ("a", "b"), resize_filter="box")), GRAY, 1)


def test_cmyk_jpeg():
    content = encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=100)
    assert near(levels(content), RED, 2)


def test_cmyk_jpeg_with_a_profile_of_no_use():
    content = encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=100, icc_profile=swapped_profile())
    assert near(levels(content), RED, 2)


def test_ycck_jpeg():
    """What Photoshop writes: ink as YCbCr and inverted black, marked by the last byte of Adobe's segment."""
    cyan, magenta, yellow, key = 30, 160, 220, 60
    stored = Image.new("RGB", (40, 40), (cyan, magenta, yellow)).convert("YCbCr")
    channels = [*stored.split(), Image.new("L", (40, 40), 255 - key)]
    # Pillow inverts what it writes and adds an Adobe segment whose last byte says that nothing was turned.
    content = encoded(Image.merge("CMYK", [channel.point(lambda v: 255 - v) for channel in channels]), "JPEG")
    adobe = content.index(b"Adobe") + 11
    assert content[adobe] == 0
    content = content[:adobe] + b"\2" + content[adobe + 1 :]
    expected = [(255 - ink) * (255 - key) / 255 for ink in (cyan, magenta, yellow)]
    assert near(levels(content), expected, 3)


@pytest.mark.parametrize("alpha", [0, 64, 128, 255])
def test_transparency_shows_the_fill_color(alpha):
    expected = [(color * alpha + fill * (255 - alpha)) / 255 for color, fill in zip(ORANGE, FILL, strict=True)]
    layer = rgb().copy()
    layer.putalpha(alpha)
    for image_format in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
        assert near(levels(encoded(layer, image_format, **options)), expected, 1.5)
    gray = Image.merge("LA", (Image.new("L", (40, 40), 30), Image.new("L", (40, 40), alpha)))
    assert near(levels(encoded(gray, "PNG")), [(30 * alpha + fill * (255 - alpha)) / 255 for fill in FILL], 1.5)


@pytest.mark.parametrize("filter_name", ["box", "bilinear", "bicubic", "lanczos"])
def test_what_hides_under_alpha_does_not_bleed(filter_name):
    """A pixel that cannot be seen has no say in the average of those that can."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :, :3] = RED
    pixels[::2, ::2] = (*BLUE, 255)
    spec = ModelSpec(8, ("a", "b"), fill=BLUE, resize_filter=filter_name)
    result = load_pixels(encoded(Image.fromarray(pixels), "PNG"), spec)
    assert np.abs(result - np.array(BLUE, int)).max() <= 2


def test_transparency_equals_compositing_before_the_reduction():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 4), np.uint8)
    layer = Image.fromarray(pixels)
    composed = Image.alpha_composite(Image.new("RGBA", layer.size, (*FILL, 255)), layer).convert("RGB")
    difference = load_pixels(layer, SPEC).astype(int) - load_pixels(composed, SPEC)
    assert np.abs(difference).mean() <= 0.5


def test_palette_transparency():
    image = Image.new("P", (40, 40), 1)
    image.putpalette([*RED, *ORANGE, *BLUE])
    image.paste(2, (20, 0, 40, 40))
    for image_format, transparency in (("PNG", b"\xff\xff\0"), ("PNG", 2), ("GIF", 2)):
        result = load_pixels(encoded(image, image_format, transparency=transparency), SPEC)
        assert tuple(result[4, 0]) == ORANGE
        assert tuple(result[4, 7]) == FILL
    half = load_pixels(encoded(image, "PNG", transparency=b"\xff\xff\x80"), SPEC)[4, 7]
    assert near(half, [(blue + fill) / 2 for blue, fill in zip(BLUE, FILL, strict=True)], 1.5)


def test_color_key_transparency():
    assert levels(encoded(rgb(BLUE), "PNG", transparency=BLUE)) == FILL
    assert levels(encoded(Image.new("L", (40, 40), 9), "PNG", transparency=9)) == FILL


@pytest.mark.parametrize("value", [0, 128, 129, 255, 256, 0x7FFF, 0x8080, 0xFF00, 0xFFFF])
def test_16_bits_are_scaled_not_clipped(value):
    expected = (round(value / 257),) * 3
    gray = Image.fromarray(np.full((40, 40), value, np.uint16))
    assert levels(encoded(gray, "PNG")) == expected
    assert levels(encoded(gray, "TIFF")) == expected
    big_endian = Image.frombytes("I;16B", (40, 40), np.full((40, 40), value, ">u2").tobytes())
    assert levels(big_endian) == expected
    assert levels(encoded(big_endian, "TIFF")) == expected
    pgm = b"P5 40 40 65535\n" + np.full((40, 40), value, ">u2").tobytes()
    assert levels(pgm) == expected


def test_16_bits_are_rounded_for_every_value():
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    result = load_pixels(Image.fromarray(values), ModelSpec(256, ("a", "b")))[:, :, 0]
    assert (result == np.rint(values / 257)).all()


def test_16_bit_color():
    rows = b"".join(b"\0" + np.full((40, 3), [0xFFFF, 0x8080, 0x0101], ">u2").tobytes() for _ in range(40))
    header = struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    assert levels(content) == (255, 128, 1)


@pytest.mark.parametrize("values", [np.full((8, 8), 0.5, np.float32), np.full((8, 8), 70_000, np.int32)])
def test_levels_without_a_range_are_refused(values):
    with pytest.raises(ImageDecodeError, match="no fixed range: convert to 8 or 16 bits"):
        load_pixels(encoded(Image.fromarray(values), "TIFF"), SPEC)


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("GIF", {"duration": 50}),
        ("PNG", {"duration": 50}),
        ("WEBP", {"duration": 50, "lossless": True}),
        ("TIFF", {}),
        ("MPO", {"quality": 95}),  # what phones write: a JPEG with another behind it
    ],
)
def test_first_frame_of_an_animation(image_format, options):
    content = encoded(rgb(RED), image_format, save_all=True, append_images=[rgb(BLUE)], **options)
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.n_frames == 2
    assert near(levels(content), RED, 2)


def profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swapped_profile():
    """A profile with exchanged red and blue primaries, which changes colors strongly."""
    content = bytearray(profile("sRGB").replace(b"sRGB", b"odd!").replace("sRGB".encode("utf-16-be"), b"o\0d\0d\0!\0"))
    count = struct.unpack(">I", content[128:132])[0]
    for tag in range(132, 132 + 12 * count, 12):
        swapped = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(bytes(content[tag : tag + 4]))
        content[tag : tag + 4] = swapped or content[tag : tag + 4]
    return bytes(content)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_icc_profiles_are_converted_to_srgb(image_format):
    options = {"lossless": True} if image_format == "WEBP" else {}
    content = encoded(rgb(ORANGE), image_format, icc_profile=swapped_profile(), **options)
    assert near(levels(content), ORANGE[::-1], 3)


def test_icc_profiles_leave_transparency_and_fill_alone():
    layer = rgb(ORANGE)
    layer.putalpha(0)
    assert levels(encoded(layer, "PNG", icc_profile=swapped_profile())) == FILL
    layer.putalpha(255)
    assert near(levels(encoded(layer, "PNG", icc_profile=swapped_profile())), ORANGE[::-1], 2)


def test_a_profile_may_be_used_from_many_threads():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = encoded(Image.fromarray(pixels), "PNG", icc_profile=swapped_profile())
    spec = ModelSpec(64, ("a", "b"))
    expected = load_pixels(content, spec)
    assert (expected != pixels).any()
    with ThreadPoolExecutor(8) as pool:
        assert all((result == expected).all() for result in pool.map(lambda _: load_pixels(content, spec), range(200)))


@pytest.mark.parametrize(
    "icc",
    [profile("sRGB"), profile("LAB"), b"not a profile", swapped_profile()[:300], swapped_profile()[:128] + bytes(3000)],
    ids=["sRGB", "of-another-mode", "text", "cut", "zeros"],
)
def test_icc_profiles_that_say_nothing_change_nothing(icc):
    assert levels(encoded(rgb(), "PNG", icc_profile=icc)) == ORANGE


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(image_format, orientation):
    if image_format == "AVIF" and not HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    upright = Image.new("RGB", (64, 64), BLUE)
    upright.paste(RED, (0, 0, 32, 16))
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that undoes each orientation
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if image_format in {"JPEG", "WEBP", "AVIF"} else {}
    difference = load_pixels(encoded(stored, image_format, exif=exif, **options), SPEC).astype(int)
    assert np.abs(difference - load_pixels(upright, SPEC)).mean() <= 5  # lossy colors at the edges; a wrong turn is 60


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40),
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
        b"\xff" * 64,
    ],
)
@pytest.mark.filterwarnings("ignore")  # Pillow complains; our command lines hide that
def test_damaged_exif_means_upright(exif):
    for image_format, options in (("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        assert near(levels(encoded(rgb(), image_format, exif=exif, **options)), ORANGE, 3)
