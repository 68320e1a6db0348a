"""Models of images that are not square: the spec has a width, and the preprocessing is the same."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from runtime.engines.signature import checked_scored
from runtime.errors import ModelSpecError
from runtime.golden import GoldenSet
from runtime.image.load import load_pixels
from runtime.spec import RESIZE_FILTERS, RESIZE_POLICIES, ModelSpec

NAMES = ("a", "b")
WIDE = ModelSpec(24, NAMES, width=40, fill=(1, 2, 3))
"""24 high, 40 wide."""
TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each orientation: how an upright picture is stored."""


def picture(width=300, height=200):
    rows, columns = np.mgrid[:height, :width]
    values = np.stack([columns * 255 / width, rows * 255 / height, (rows + columns) * 255 / (width + height)], axis=2)
    return Image.fromarray(values.astype(np.uint8))


def stored(image, orientation, kind="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    turned = image.transpose(TURNS[orientation]) if orientation in TURNS else image
    turned.save(stream, kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    return stream.getvalue()


@pytest.mark.parametrize("resize", RESIZE_POLICIES)
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (400, 240), (40, 24)], ids=str)
def test_pictures_get_the_height_and_width_of_the_spec(resize, size):
    pixels = load_pixels(picture(*size), replace(WIDE, resize=resize))
    assert pixels.shape == WIDE.shape == (24, 40, 3)


def test_what_each_policy_shows():
    red = [load_pixels(picture(200, 200), replace(WIDE, resize=resize))[..., 0] for resize in RESIZE_POLICIES]
    stretched, cropped, padded = red
    assert stretched[12, 1] < 15
    assert stretched[12, -2] > 240
    assert cropped[12, 1] < 15
    assert cropped[12, -2] > 240
    assert (padded[:, :8] == 1).all()
    assert (padded[:, -8:] == 1).all()
    assert padded[12, 8] < 15
    green = [load_pixels(picture(200, 200), replace(WIDE, resize=resize))[..., 1] for resize in RESIZE_POLICIES]
    assert green[0][0, 20] < 10  # all rows
    assert 40 < green[1][0, 20] < 60  # the middle six tenths
    assert green[2][0, 20] < 10


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("resize", RESIZE_POLICIES)
@pytest.mark.parametrize("resize_filter", RESIZE_FILTERS)
def test_a_picture_on_its_side_is_read_like_an_upright_one(orientation, resize, resize_filter):
    spec = replace(WIDE, resize=resize, resize_filter=resize_filter)
    upright = load_pixels(picture(), spec).astype(int)
    assert np.abs(load_pixels(stored(picture(), orientation), spec) - upright).max() <= 4


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_reduced_without_losing_its_shape(orientation):
    large = picture(1200, 900)
    expected = load_pixels(large, WIDE).astype(int)
    assert np.abs(load_pixels(stored(large, orientation, "JPEG"), WIDE) - expected).mean() <= 3


def test_the_familiarity_of_an_oblong_model_is_tried_on_its_own_shape():
    class Backend:
        engine, shapes = "onnxruntime", []

        def scored(self, pixels):
            self.shapes.append(pixels.shape)
            return np.full((len(pixels), 2), 0.5, np.float32), np.zeros(len(pixels), np.float32)

    checked_scored(Backend(), WIDE, "model.onnx")
    assert Backend.shapes == [(1, 24, 40, 3)]


def test_a_photo_that_stays_as_it_is_stored():
    spec = replace(WIDE, ignore_orientation=True)
    lying = picture().transpose(TURNS[6])
    assert (load_pixels(stored(picture(), 6), spec) == load_pixels(lying, spec)).all()


def test_only_the_spec_of_an_oblong_model_has_a_width():
    assert ModelSpec.from_json(WIDE.to_json()) == WIDE
    assert "width" not in json.loads(ModelSpec(24, NAMES).to_json())
    assert ModelSpec(24, NAMES).shape == (24, 24, 3)


@pytest.mark.parametrize("width", [0, -1, 5000, 2.5, "40", True])
def test_a_width_is_a_number_of_pixels(width):
    with pytest.raises(ModelSpecError, match="width must be a whole number 1-4096 or None"):
        ModelSpec(24, NAMES, width=width)


def golden():
    pixels = np.random.default_rng(0).integers(0, 256, (3, *WIDE.shape), np.uint8)
    return GoldenSet(pixels, np.full((3, 2), 0.5, np.float32), 0.01)


def test_the_golden_set_keeps_oblong_pictures():
    again = GoldenSet.from_json(golden().to_json())
    assert (again.pixels == golden().pixels).all()


@pytest.mark.parametrize("height", [0, -24, 25, 10**9, 2.0, "24", True])
def test_a_golden_set_of_another_height_is_refused(height):
    entries = json.loads(golden().to_json()) | {"height": height}
    with pytest.raises(ModelSpecError, match="golden set is not readable"):
        GoldenSet.from_json(json.dumps(entries))
