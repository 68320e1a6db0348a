"""Heat maps: each method finds the place that decides the class."""

import base64
import io

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.documents.mistakes import SHOWN
from pipeline.export.load.deployable import Deployable
from pipeline.verify.heat import center_share, heat_maps, overlay
from pipeline.verify.mistakes import mistakes

SIDE, PATCH, STEPS = 32, 8, 60


def painted(count, seed=0):
    """Gray noise, and in half of the images a red patch, which alone is class 1: pixels, labels, places of patches."""
    random = np.random.default_rng(seed)
    pixels = random.integers(60, 160, (count, SIDE, SIDE, 1), np.uint8).repeat(3, axis=3)
    labels, places = np.arange(count) % 2, random.integers(0, SIDE - PATCH, (count, 2))
    for at in np.flatnonzero(labels):
        row, column = places[at]
        pixels[at, row : row + PATCH, column : column + PATCH] = (230, 30, 30)
    return pixels, labels, places


def pooled():
    return [layers.Conv2D(8, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, padding="same", activation="relu"), layers.GlobalAveragePooling2D()]  # fmt: skip


def flattened():
    return [layers.Conv2D(8, 4, 4, activation="relu"), layers.Flatten(), layers.Dense(16, activation="relu")]


def built_twice():
    """A network whose layers also belong to another network, as after folding."""
    found = flattened()
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), *found])
    return found


def dense():
    return [layers.AveragePooling2D(4), layers.Flatten(), layers.Dense(16, activation="relu")]


def nested():
    return [keras.Sequential([keras.Input((SIDE, SIDE, 3)), *pooled()])]


@pytest.fixture(scope="module", params=[pooled, built_twice, dense, nested])
def network(request):
    """A network that is trained until it separates the synthetic photos."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *request.param(), layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    pixels, labels, _ = painted(64)
    for _ in range(STEPS):
        model.train_on_batch(pixels / np.float32(255), labels)
    return Deployable(model, ("gray", "red"))


@pytest.mark.slow
def test_the_hottest_place_lies_in_the_patch_that_decides(network):
    pixels, labels, places = painted(32, seed=1)
    assert np.mean(network.probabilities(pixels).argmax(axis=1) == labels) > 0.9
    red = np.flatnonzero(labels)
    heat = heat_maps(network, pixels[red], labels[red])
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    np.testing.assert_allclose(heat.sum(axis=(1, 2)), 1, atol=1e-5)
    cell = SIDE / heat.shape[1]
    hottest = np.stack(np.unravel_index(heat.reshape(len(red), -1).argmax(axis=1), heat.shape[1:]), axis=1) * cell
    inside = (hottest + cell > places[red]) & (hottest < places[red] + PATCH)
    assert inside.all(axis=1).mean() >= 0.9


@pytest.mark.parametrize("maps", [[layers.Conv2D(2, 1, use_bias=False)], []])
def test_a_label_among_several_is_explained_by_itself(maps):
    """The second label depends on blue, the first on red everywhere: the heat map of blue must not depend on red."""
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *maps, layers.GlobalAveragePooling2D(),
                              layers.Dense(2, activation="sigmoid", use_bias=False)])  # fmt: skip
    kernel = np.array([[1, 0], [0, 0], [0, 1]], np.float32)
    if maps:
        model.layers[0].set_weights([kernel.reshape(1, 1, 3, 2)])
    model.layers[-1].set_weights([np.eye(2) if maps else kernel])
    square = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    square[:, :16, :16, 2] = 255
    square[:, 16:, 16:, 0] = 255
    (heat,) = heat_maps(Deployable(model, ("red", "blue")), square, np.array([1]))
    half = len(heat) // 2
    assert heat[:half, :half].sum() > 0.7
    assert heat[half + 1 :, half + 1 :].sum() < 1e-6


def test_the_middle_is_a_quarter_of_the_picture():
    assert center_share(np.ones((7, 7), np.float32)) == pytest.approx(0.25, abs=0.01)
    corner = np.zeros((8, 8), np.float32)
    assert center_share(corner) == 0
    corner[0, 0] = 1
    assert center_share(corner) == 0


def test_the_overlay_is_gray_where_nothing_speaks_for_the_answer():
    square = np.full((SIDE, SIDE, 3), (0, 200, 0), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    gray = np.asarray(overlay(square, heat))
    assert gray.shape == square.shape
    assert (gray == gray[:1, :1, :1]).all()
    heat[0, 0] = 1
    colored = np.asarray(overlay(square, heat)).astype(int)
    assert np.ptp(colored[0, 0]) > 50
    assert np.ptp(colored[-1, -1]) == 0


@pytest.mark.slow
def test_the_surest_mistakes_are_kept_with_names_and_pictures(network):
    pixels, labels, _ = painted(60, seed=2)
    swapped = labels.copy()
    swapped[:30] = 1 - swapped[:30]
    paths = tuple(f"{number}.jpg" for number in range(60))
    photos = Dataset(pixels, swapped, network.class_names, paths)
    found = mistakes(network, photos, network.probabilities(pixels), "a" * 64)
    assert found.wrong >= 25
    assert len(found.shown) == min(found.wrong, SHOWN)
    sure = [row.probability for row in found.shown]
    assert sure == sorted(sure, reverse=True)
    for row in found.shown:
        assert row.path == f"{row.image}.jpg"
        assert (row.shows, row.taken_for) == (
            photos.class_names[swapped[row.image]],
            photos.class_names[1 - swapped[row.image]],
        )
        assert row.own_probability < row.probability
        for picture in (row.picture, row.heat):
            with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
                assert image.size == (SIDE, SIDE)
    right = Dataset(pixels, network.probabilities(pixels).argmax(axis=1), network.class_names)
    none = mistakes(network, right, network.probabilities(pixels), None)
    assert (none.wrong, none.shown) == (0, ())
