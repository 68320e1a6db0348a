import io

import numpy as np
import pytest
from PIL import Image

from runtime import ImageDecodeError, ImageError, ImageFileNotFoundError, ModelSpec
from runtime.image import load_square

SPEC = ModelSpec(32, ("a", "b"))
RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


@pytest.fixture
def photo():
    """A smooth 640x480 picture: red grows to the right, green downwards."""
    red = np.tile(np.linspace(0, 255, 640), (480, 1))
    green = np.tile(np.linspace(0, 255, 480)[:, None], (1, 640))
    return Image.fromarray(np.dstack([red, green, np.full_like(red, 64)]).astype(np.uint8))


def test_square_of_the_right_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert (load_square(encoded(Image.fromarray(pixels), "PNG"), SPEC) == pixels).all()


def test_every_kind_of_source_gives_the_same_pixels(photo, tmp_path):
    content = encoded(photo, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    expected = load_square(content, SPEC)
    for source in (path, str(path), io.BytesIO(content), photo, np.asarray(photo)):
        assert (load_square(source, SPEC) == expected).all()
    assert expected.shape == (32, 32, 3)
    assert expected.dtype == np.uint8


def test_reduced_jpeg_decode_is_near_the_full_decode(photo):
    content = encoded(photo.resize((2048, 1536)), "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as opened:
        full = np.asarray(opened.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(load_square(content, SPEC) - full).mean() <= 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = Image.new("RGB", (64, 64), BLUE)
    upright.paste(RED, (0, 0, 32, 16))
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that undoes each orientation
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (load_square(encoded(stored, "PNG", exif=exif), SPEC) == load_square(upright, SPEC)).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (40, 40), 200), (200, 200, 200)),
        (Image.new("1", (40, 40), 1), (255, 255, 255)),
        (Image.new("LA", (40, 40), (10, 255)), (10, 10, 10)),
        (Image.new("RGBA", (40, 40), (*RED, 255)), RED),
        (Image.new("RGBA", (40, 40), (*RED, 0)), (255, 255, 255)),
        (Image.new("CMYK", (40, 40), (0, 255, 255, 0)), RED),
        (Image.new("RGB", (40, 40), BLUE).quantize(), BLUE),
        (Image.new("I;16", (40, 40), 0x8080), (128, 128, 128)),
    ],
    ids=["L", "1", "LA", "RGBA", "transparent", "CMYK", "P", "I;16"],
)
def test_every_mode_becomes_rgb(image, expected):
    assert (load_square(image, SPEC) == expected).all()


def test_truncated_jpeg_is_refused(photo):
    content = encoded(photo, "JPEG")
    with pytest.raises(ImageDecodeError, match="decoded whole"):
        load_square(content[: len(content) // 2], SPEC)
    with Image.open(io.BytesIO(content[: len(content) // 2])) as opened, pytest.raises(ImageDecodeError):
        load_square(opened, SPEC)


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(ImageDecodeError):
        load_square(b"no image", SPEC)
    with pytest.raises(ImageFileNotFoundError, match="nowhere"):
        load_square(tmp_path / "nowhere.jpg", SPEC)
    with pytest.raises(ImageFileNotFoundError):
        load_square(tmp_path, SPEC)
    with pytest.raises(ImageError, match="float32"):
        load_square(np.zeros((8, 8, 3), np.float32), SPEC)
    with pytest.raises(ImageError, match="NoneType"):
        load_square(None, SPEC)
    with pytest.raises(ImageDecodeError, match="floating-point"):
        load_square(Image.new("F", (8, 8)), SPEC)
