"""Where each pixel goes: sources, policies, filters, orientation, scale of decoding, memory, threads."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import PIL
import pytest
from PIL import Image, ImageFile, ImageOps

from docs.figures.photos import ENCODINGS, photograph
from runtime import ImageDecodeError, ImageError, ImageFileNotFoundError, ImageMemoryError, ModelSpec
from runtime.image.decode import examine
from runtime.image.load import load_pixels
from runtime.spec import NO_ANTIALIAS

FILL = (255, 0, 255)
FILTERS = ("box", "bilinear", "bicubic", "lanczos")
POLICIES = ("stretch", "crop", "pad")
SPEC = ModelSpec(32, ("a", "b"))
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that undoes each orientation


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


@cache
def photo(width, height):
    return Image.fromarray(photograph(width, height, seed=width + height))


@cache
def photo_file(width, height, encoding):
    return encoded(photo(width, height), **{"image_format" if k == "format" else k: v for k, v in _options(encoding)})


@cache
def turned_file(width, height, orientation, image_format):
    """A photo that is stored turned, with the orientation that turns it upright."""
    upright = photo(width, height)
    stored = upright.transpose(TURNS[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, image_format, exif=exif, quality=95, subsampling="4:4:4")


def _options(encoding):
    return ENCODINGS[encoding][1].items()


@cache
def all_pixels(content):
    with Image.open(io.BytesIO(content)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def full_decode(content, spec):
    """The same policy and filter applied to all pixels, without reduced decoding."""
    upright = all_pixels(content)
    resample, square = Image.Resampling[spec.resize_filter.upper()], (spec.side, spec.side)
    if spec.resize == "stretch":
        return np.asarray(upright.resize(square, resample))
    if spec.resize == "crop":
        side = min(upright.size)
        left, top = (upright.width - side) / 2, (upright.height - side) / 2
        return np.asarray(upright.resize(square, resample, (left, top, left + side, top + side)))
    scale = spec.side / max(upright.size)
    small = upright.resize((round(upright.width * scale), round(upright.height * scale)), resample)
    canvas = Image.new("RGB", square, spec.fill)
    canvas.paste(small, ((spec.side - small.width) // 2, (spec.side - small.height) // 2))
    return np.asarray(canvas)


def distance(pixels, expected):
    return np.abs(pixels.astype(int) - expected).mean()


def test_square_of_the_right_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert (load_pixels(encoded(Image.fromarray(pixels), "PNG"), SPEC) == pixels).all()


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    picture, content = photo(640, 480), photo_file(640, 480, "png")
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    expected = load_pixels(content, SPEC)
    with path.open("rb") as file:
        for source in (path, str(path), io.BytesIO(content), file, picture, np.asarray(picture)):
            assert (load_pixels(source, SPEC) == expected).all()
    assert expected.shape == (32, 32, 3)
    assert expected.dtype == np.uint8
    assert expected.flags.writeable


def test_a_pipe_is_read_to_its_end():
    content = photo_file(640, 480, "jpeg")
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(writing, content), os.close(writing)))
    with os.fdopen(reading, "rb") as pipe:
        writer.start()
        pixels = load_pixels(pipe, SPEC)
        writer.join()
    assert (pixels == load_pixels(content, SPEC)).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("encoding", "size"),
    [
        ("jpeg", (1632, 1224)),
        ("jpeg", (640, 481)),
        ("jpeg", (1000, 130)),
        ("jpeg", (250, 400)),
        ("progressive", (640, 481)),
        ("png", (640, 481)),
        ("webp", (250, 400)),
    ],
)
def test_reductions_stay_within_half_a_gray_level(encoding, size, policy):
    content = photo_file(*size, encoding)
    for side in (32, 96):
        for filter_name in FILTERS:
            spec = ModelSpec(side, ("a", "b"), resize=policy, resize_filter=filter_name, fill=FILL)
            assert distance(load_pixels(content, spec), full_decode(content, spec)) <= 0.5, (filter_name, side)


@cache
def in_mode(mode):
    """A large picture of a mode that is converted part by part; to be copied before it is changed."""
    rgb = photo(640, 481).resize((1251, 953))
    if mode in {"LA", "RGBA"}:
        other = rgb.convert(mode.removesuffix("A") if mode == "LA" else "RGB")
        other.putalpha(rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT).convert("L"))
        return other
    if mode == "I;16":
        return Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    if mode == "P":
        return rgb.quantize(64, Image.Quantize.FASTOCTREE)
    return rgb.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
@pytest.mark.parametrize("resize_filter", [*FILTERS, NO_ANTIALIAS])
@pytest.mark.parametrize("policy", ["stretch", "crop"])
def test_a_large_image_is_resized_in_parts_as_in_one(mode, resize_filter, policy, monkeypatch):
    image, spec = in_mode(mode).copy(), ModelSpec(32, ("a", "b"), resize=policy, resize_filter=resize_filter)
    monkeypatch.setattr("runtime.image.resize._LARGE", 2**20)  # a quarter of their values, and of the time
    monkeypatch.setattr("runtime.image.resize._BAND_PIXELS", 2**18)
    in_parts = load_pixels(image, spec).astype(int)
    monkeypatch.setattr("runtime.image.resize._LARGE", 2**40)
    whole = load_pixels(image, spec).astype(int)
    # Pillow itself reduces no image with alpha before it resizes it, which makes up to half a gray level.
    most = (2 if int(PIL.__version__.partition(".")[0]) >= 11 else 5) if mode.endswith("A") else 0
    assert np.abs(in_parts - whole).max() <= (1 if resize_filter == NO_ANTIALIAS and not most else most)


@pytest.mark.parametrize(("low", "high", "axis"), [(0, 481, 0), (79.5, 560.5, 1)])
def test_without_antialiasing_a_pixel_is_made_of_those_about_its_center(low, high, axis):
    """Of a picture that is a slope along one axis, so that the value says where it was looked at."""
    slope = np.arange(640) / 640 * 255
    pixels = np.repeat(np.broadcast_to(np.rint(slope), (481, 640)).astype(np.uint8)[..., None], 3, axis=2)
    pixels = pixels if axis else np.ascontiguousarray(pixels.transpose(1, 0, 2))[:481]
    centers = low + (np.arange(32) + 0.5) * (high - low) / 32
    square = load_pixels(pixels, ModelSpec(32, ("a", "b"), resize="crop", resize_filter=NO_ANTIALIAS))
    seen = square[:, 16, 0] if axis == 0 else square[16, :, 0]
    assert np.abs(seen - (centers - 0.5) / 640 * 255).max() < 1.5


def test_without_antialiasing_a_jpeg_is_decoded_whole_and_stripes_stay():
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, 4::10] = stripes[:, 5::10] = 255  # where the centers of 32 new pixels lie
    content = encoded(Image.fromarray(stripes), "JPEG", quality=95, subsampling="4:4:4")
    assert load_pixels(content, ModelSpec(32, ("a", "b"))).mean() < 60
    assert load_pixels(content, ModelSpec(32, ("a", "b"), resize_filter=NO_ANTIALIAS)).mean() > 240


@pytest.mark.parametrize("policy", POLICIES)
def test_a_jpeg_is_decoded_at_reduced_scale(policy, monkeypatch):
    content = photo_file(1632, 1224, "jpeg")  # painting it loads an image of this size, too
    loaded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda image: (loaded.append(image.size), load(image))[1])
    load_pixels(content, ModelSpec(32, ("a", "b"), resize=policy))
    assert max(loaded) == (204, 153)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(301, 200), (200, 301)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_orientation_and_policy_commute(policy, orientation, size, image_format):
    spec = ModelSpec(32, ("a", "b"), resize=policy, fill=FILL)
    pixels = load_pixels(turned_file(*size, orientation, image_format), spec)
    assert distance(pixels, full_decode(photo_file(*size, "png"), spec)) <= 1  # a wrong turn is 30
    if policy == "pad":
        outside = (load_pixels(photo(*size), spec) == FILL).all(axis=2)
        assert outside.sum() in {32 * 11, 32 * 10}
        assert ((pixels == FILL).all(axis=2) == outside).all()


def test_pad_shows_the_fill_color_beside_and_behind():
    layer = Image.new("RGBA", (64, 16), (0, 0, 0, 0))
    layer.paste((0, 0, 0, 255), (0, 0, 32, 16))
    pixels = load_pixels(layer, ModelSpec(32, ("a", "b"), resize="pad", resize_filter="box", fill=FILL))
    expected = np.full((32, 32, 3), FILL, np.uint8)
    expected[12:20, :16] = 0
    assert (pixels == expected).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (4000, 1), (2, 3), (33, 31)])
def test_extreme_shapes(policy, size):
    spec = ModelSpec(32, ("a", "b"), resize=policy, fill=(9, 9, 9))
    for image_format in ("PNG", "JPEG"):
        pixels = load_pixels(encoded(Image.new("RGB", size, (9, 9, 9)), image_format), spec)
        assert (pixels == 9).all()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
def test_what_the_caller_owns_is_left_alone(image_format):
    content = encoded(photo(640, 480), image_format)
    stream = io.BytesIO(content)
    expected = load_pixels(stream, SPEC)
    assert not stream.closed
    assert (load_pixels(stream, SPEC) == expected).all()
    with Image.open(stream) as opened:
        mode = opened.mode
        load_pixels(opened, SPEC)
        assert (opened.size, opened.mode) == ((640, 480), mode)
        with Image.open(io.BytesIO(content)) as untouched:
            assert opened.tobytes() == untouched.tobytes()


def test_many_threads_get_the_same_pixels():
    contents = [photo_file(640, 481, encoding) for encoding in ENCODINGS] * 8
    expected = [load_pixels(content, SPEC) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        for pixels, alone in zip(pool.map(lambda content: load_pixels(content, SPEC), contents), expected, strict=True):
            assert (pixels == alone).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_a_20_megapixel_jpeg_costs_a_fraction_of_its_pixels(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(np.tile(np.asarray(photo(1368, 912)), (4, 4, 1))).save(path, quality=90)
    script = f"""
import re
from runtime import ModelSpec
from runtime.image.load import load_pixels
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
spec = ModelSpec(32, ("a", "b"))
load_pixels({photo_file(640, 480, "jpeg")!r}, spec)
before = peak()
load_pixels({str(path)!r}, spec)
print(peak() - before)
"""
    grown = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=True)
    assert float(grown.stdout) < 20  # MiB; all of its pixels are 76


def webp_of_size(width, height):
    header = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(header)) + b"WEBP" + header


def png_of_size(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg_of_size(width, height, **options):
    """A file whose header claims more than its few bytes hold."""
    content = encoded(Image.new("L", (8, 8)), "JPEG", **options)
    at = content.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 : -2]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (png_of_size(12_000, 9_000), "image of 12000x9000 pixels is too large"),
        (png_of_size(10**9, 10**9), "image of 1000000000x1000000000 pixels is too large"),
        (jpeg_of_size(65_535, 65_535), "image of 65535x65535 pixels is too large"),
        (webp_of_size(13_521, 12_147), "image of 13521x12147 pixels is too large"),
        (jpeg_of_size(12_000, 9_000, progressive=True), "image of 12000x9000 pixels is too large"),
        (jpeg_of_size(12_000, 9_000), "decoded whole"),
    ],
    ids=["png", "huge-png", "jpeg", "webp", "progressive", "jpeg-that-ends-early"],
)
def test_too_many_pixels_are_refused(source, message):
    with pytest.raises(ImageDecodeError, match=message):
        load_pixels(source, SPEC)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_truncated_files_are_refused(encoding):
    content = photo_file(640, 480, encoding)
    for share in (0.1, 0.5, 0.99):
        with pytest.raises(ImageDecodeError, match="bytes: not an image that can be decoded whole"):
            load_pixels(content[: int(len(content) * share)], SPEC)
    with Image.open(io.BytesIO(photo_file(640, 480, "jpeg")[:20_000])) as opened, pytest.raises(ImageDecodeError):
        load_pixels(opened, SPEC)


def test_what_is_no_image_is_refused(tmp_path):
    for content, message in (
        (b"", "an empty file"),
        (b"no image", "not a JPEG, PNG, .* PPM file: it begins with the text 'no image'$"),
        (b"\xff", "it begins with the bytes ff$"),
        (b"RIFF\4\0\0\0WEBPnone", "a WebP file whose first chunk begins with the text 'none'"),
    ):
        with pytest.raises(ImageDecodeError, match=message):
            load_pixels(content, SPEC)
    with pytest.raises(ImageFileNotFoundError, match="nowhere"):
        load_pixels(tmp_path / "nowhere.jpg", SPEC)
    with pytest.raises(ImageFileNotFoundError):
        load_pixels(tmp_path, SPEC)
    with pytest.raises(ImageError, match="float32"):
        load_pixels(np.zeros((8, 8, 3), np.float32), SPEC)
    with pytest.raises(ImageError, match="NoneType"):
        load_pixels(None, SPEC)
    with pytest.raises(ImageDecodeError, match="floating-point"):
        load_pixels(Image.new("F", (8, 8)), SPEC)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_want_of_memory_is_told_from_a_damaged_image(image_format, monkeypatch):
    def exhausted(_):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)
    with pytest.raises(ImageMemoryError, match="not enough memory") as caught:
        load_pixels(encoded(photo(64, 48), image_format), SPEC)
    assert not isinstance(caught.value, ImageDecodeError)  # the image may be a good one
    assert isinstance(caught.value, MemoryError)


@pytest.mark.parametrize("fault", [TypeError("ours"), KeyError("ours"), AssertionError("ours")])
@pytest.mark.parametrize("place", ["_Plan.of", "to_rgb", "examine", "BUDGET.taken"])
def test_faults_of_our_own_are_not_blamed_on_the_image(place, fault, monkeypatch):
    def faulty(*_, **__):
        raise fault

    monkeypatch.setattr(f"runtime.image.load.{place}", faulty)
    with pytest.raises(type(fault), match="ours"):
        load_pixels(photo_file(640, 480, "jpeg"), SPEC)


@pytest.mark.parametrize("fault", [TypeError("theirs"), IndexError("theirs"), SyntaxError("theirs"), RuntimeError()])
def test_whatever_a_decoder_raises_is_a_damaged_image(fault, monkeypatch):
    def faulty(_):
        raise fault

    monkeypatch.setattr(ImageFile.ImageFile, "load", faulty)
    with pytest.raises(ImageDecodeError, match=r"decoded whole \((theirs|RuntimeError)\)"):
        load_pixels(photo_file(640, 480, "jpeg"), SPEC)


def test_no_postscript_interpreter_is_started():
    """Pillow would hand this to Ghostscript."""
    with pytest.raises(ImageDecodeError, match="not a JPEG"):
        load_pixels(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", SPEC)


@pytest.mark.parametrize("size", [(13, 7), (300, 511), (4001, 33)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_is_read_from_its_first_bytes(mode, options, size):
    header = examine(encoded(Image.new(mode, size), "WEBP", **options)).header
    assert (header.width, header.height) == size
