"""Support for models that were trained on photos resized without antialiasing."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from docs.figures import photos
from pipeline.cli import parse
from runtime import ModelSpec
from runtime.image.load import load_pixels
from runtime.spec import NO_ANTIALIAS

NAMES = ("even", "noisy")
SIDE, PHOTO = 16, 160

photograph = cache(photos.photograph)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Plain photos and noisy ones; antialiasing removes the noise."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(30):
        gray = random.integers(80, 170)
        noisy = random.choice(np.array([0, 255], np.uint8), (PHOTO, PHOTO, 3))
        for name, pixels in (("even", np.full((PHOTO, PHOTO, 3), gray, np.uint8)), ("noisy", noisy)):
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def squares_of_keras(folder):
    images = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), shuffle=False, batch_size=None, verbose=False
    )
    return [image.numpy() for image, _ in images]


def test_the_filter_gives_the_squares_of_keras(folder):
    spec = ModelSpec(SIDE, NAMES, resize_filter=NO_ANTIALIAS)
    files = sorted(folder.rglob("*.png"))
    for file, expected in zip(files, squares_of_keras(folder), strict=True):
        assert np.abs(load_pixels(file, spec) - expected).max() < 1


@pytest.mark.parametrize("side", [16, 96, 224])
@pytest.mark.parametrize("size", [(640, 481), (130, 1000), (32, 20), (224, 224)])
def test_the_filter_gives_the_squares_of_tensorflow(size, side):
    pixels = photograph(*size, seed=3)
    expected = tf.image.resize(pixels, (side, side)).numpy()
    square = load_pixels(pixels, ModelSpec(side, NAMES, resize_filter=NO_ANTIALIAS))
    assert np.abs(square - expected).max() < 1.01  # fractions are cut off


@pytest.mark.parametrize("text", ["1/0", "a", "1/2/3", ""])
def test_a_scale_is_a_number_or_a_fraction(text, capsys):
    command = ["evaluate", "mine.keras", "--scale", "1/127.5"]
    assert parse(command).scale == [1 / 127.5]
    with pytest.raises(SystemExit):
        parse([*command[:-1], text])
    assert "expected a number such as 0.5 or 1/255" in capsys.readouterr().err
