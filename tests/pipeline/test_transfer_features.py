"""Features of a pretrained network: the views of a photo, the backbone, and the cache."""

import errno
import os
import sys

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.data import rows as large
from pipeline.data.folder import load
from pipeline.data.photo_settings import Settings as PhotoSettings
from pipeline.errors import ArchitectureError
from pipeline.training.transfer import backbone, views
from pipeline.training.transfer.features import features
from small_backbone import SIDE, WIDTH, classifier


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def squares(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_views_depend_on_photo_and_number_alone():
    (square,) = squares(1)
    key = views.key_of(square)
    np.testing.assert_array_equal(views.view(square, key, 0), square)
    drawn = [views.view(square, key, number) for number in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert views.view(square, bytes(16), 1).shape == square.shape
    assert (views.view(square, bytes(16), 1) != drawn[0]).any()


def test_no_view_shows_what_is_beyond_the_photo():
    white = np.full((96, 96, 3), 255, np.uint8)
    for number in range(1, 60):
        seen = views.view(white, bytes([number]) * 16, number)
        assert seen.min() == seen.max()  # a corner from outside would be black


def test_a_backbone_is_cut_before_its_last_dense_layer(tmp_path):
    network = tmp_path / "mine.keras"
    classifier().save(network)
    found = backbone.of_file(network)
    pixels = squares(3)
    whole = keras.models.load_model(network)
    expected = keras.Model(whole.inputs, whole.layers[-3].output).predict(pixels / np.float32(255), verbose=0)
    np.testing.assert_allclose(found.features(pixels), expected, atol=1e-5)
    assert (found.side, found.width, found.name) == (SIDE, WIDTH, "mine.keras")
    kernel, bias = np.random.default_rng(0).normal(size=(WIDTH, 4)), np.arange(4.0)
    answers = found.classifier(kernel, bias).predict(pixels / np.float32(255), verbose=0)
    logits = expected @ kernel + bias
    np.testing.assert_allclose(np.log(answers), logits - np.log(np.exp(logits).sum(1, keepdims=True)), atol=1e-4)


def test_a_backbone_without_a_dense_end_is_refused(tmp_path):
    path = tmp_path / "mine.keras"
    convolution = [layers.Reshape((1, 1, WIDTH)), layers.Conv2D(5, 1), layers.Reshape((5,)), layers.Softmax()]
    classifier(*convolution).save(path)
    with pytest.raises(ArchitectureError, match=r"ends in Reshape .*must end in a dense layer"):
        backbone.of_file(path)


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 24, 3)])
def test_a_backbone_of_other_images_is_refused(tmp_path, shape):
    image = keras.Input(shape)
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))
    keras.Model(image, layers.Dense(2, activation="softmax")(pooled)).save(tmp_path / "mine.keras")
    with pytest.raises(ArchitectureError, match="takes square RGB images, this one takes"):
        backbone.of_file(tmp_path / "mine.keras")


class Counting:
    """A backbone of two features that counts the images that it processes."""

    digest, width, batch = "ab" * 32, 2, 16

    def __init__(self):
        self.seen = 0

    def features(self, pixels):
        self.seen += len(pixels)
        return pixels.reshape(len(pixels), -1)[:, :2].astype(np.float32)


def test_features_are_computed_once():
    pixels, looking = squares(40), Counting()
    first = features(looking, pixels, range(2))
    np.testing.assert_array_equal(first[0], pixels.reshape(40, -1)[:, :2])
    assert looking.seen == 80
    np.testing.assert_array_equal(features(looking, pixels[::-1], range(2)), first[:, ::-1])
    assert looking.seen == 80
    features(looking, np.concatenate([pixels, squares(3, 1), squares(3, 1)]), range(2))
    assert looking.seen == 86


@pytest.mark.parametrize(("cut", "again"), [(-3, 1), (-1, 1), (0, 0)])
def test_a_torn_file_of_features_loses_its_last_record(own_cache, cut, again):
    pixels, looking = squares(10), Counting()
    first = features(looking, pixels, range(1))
    (path,) = own_cache.rglob("*.bin")
    os.truncate(path, path.stat().st_size + cut)
    np.testing.assert_array_equal(features(looking, pixels, range(1)), first)
    assert looking.seen == 10 + again


def test_a_damaged_feature_is_computed_again(own_cache):
    pixels, looking = squares(10), Counting()
    first = features(looking, pixels, range(1))
    (path,) = own_cache.rglob("*.bin")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(features(looking, pixels, range(1)), first)
    assert looking.seen == 11


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not reserve the place")
def test_a_full_disk_is_an_error_before_anything_is_written(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(large, "LARGEST_COPY", 0)
    monkeypatch.setattr(large.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        large.empty((2, 3), np.float32)


def test_large_sets_are_read_where_they_are_asked_for(tmp_path, monkeypatch):
    for number, square in enumerate(squares(24)):
        (tmp_path / "photos" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(square).save(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png")
    photos = tmp_path / "photos"
    few = load(photos, PhotoSettings(side=SIDE))
    seen = features(Counting(), few.training.pixels, range(2))
    monkeypatch.setattr(large, "LARGEST_COPY", 0)
    many = load(photos, PhotoSettings(side=SIDE))
    assert isinstance(many.training.pixels, large.Rows)
    assert isinstance(many.validation.pixels, np.memmap)  # a true array, as engines want it
    for part in ("training", "validation"):
        assert getattr(many, part).digest == getattr(few, part).digest
    np.testing.assert_array_equal(many.training.take(np.array([3, 1])).pixels, few.training.pixels[[3, 1]])
    np.testing.assert_array_equal(np.asarray(many.training.pixels), few.training.pixels)
    again = features(Counting(), many.training.pixels, range(2))
    assert isinstance(again, np.memmap)
    np.testing.assert_array_equal(again, seen)
