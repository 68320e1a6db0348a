"""Training the last stages of a pretrained network, if cross-validation shows an improvement."""

import keras
import numpy as np
import pytest
from keras import layers

import shared_features
import training_run
from pipeline.errors import ArchitectureError
from pipeline.export.load.scaling import PixelScaling
from pipeline.training.transfer import head, stages
from pipeline.training.transfer.backbone import Backbone
from pipeline.training.transfer.cross_validation import Views, cross_validate
from pipeline.training.transfer.features import features

SIDE, COUNT = 32, 60


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))


def network(*, skip=False):
    """A network of two untrained stages."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU(name="first")(layers.BatchNormalization()(layers.Conv2D(12, 4, 4)(image)))
    y = layers.Conv2D(8, 2, 2, name="second")(x)
    y = layers.BatchNormalization(name="norm")(y)
    pooled = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    if skip:
        pooled = layers.Concatenate()([pooled, layers.GlobalAveragePooling2D()(image)])
    return Backbone("two", keras.Model(image, pooled), PixelScaling((1 / 255,) * 3))


def photos():
    """Photos of three colors in noise, and their labels."""
    random, labels = np.random.default_rng(0), np.arange(COUNT) % 3
    base = np.full((COUNT, SIDE, SIDE, 3), 90) + 60 * np.eye(3)[labels][:, None, None]
    return np.clip(base + random.normal(0, 60, base.shape), 0, 255).astype(np.uint8), labels


def known(backbone, labels):
    pixels, _ = photos()
    seen = features(backbone, pixels, range(2))
    return stages.Photos(
        Views(seen, labels, np.arange(COUNT), 3), features(stages.split_network(backbone).stem, pixels, range(2))
    )


def test_stem_and_tail_are_the_network():
    backbone, (pixels, _) = network(), photos()
    divided = stages.split_network(backbone)
    cut = divided.stem.features(pixels[:4]).reshape(4, *divided.tail.input_shape[1:])
    np.testing.assert_allclose(divided.tail.predict(cut, verbose=0), backbone.features(pixels[:4]), atol=1e-5)


def test_a_network_whose_tensors_all_go_on_cannot_be_opened():
    with pytest.raises(ArchitectureError, match="no last stages that could be opened"):
        stages.split_network(network(skip=True))


def test_minutes_choose_the_epochs():
    divided = stages.split_network(network())
    assert stages.planned(divided, 100, 10, 0).epochs == stages.EPOCHS
    assert stages.planned(divided, 10**9, 1, 0).epochs == stages.FEWEST_EPOCHS


@pytest.mark.parametrize("part", [0.8, 1.0])
def test_the_rate_falls_to_zero_at_the_end_of_each_fit(monkeypatch, part):
    backbone, (_, labels) = network(), photos()
    seen = known(backbone, labels)
    opened, rates = stages.StageTrainer(stages.split_network(backbone), 3), []
    step = opened.step
    monkeypatch.setattr(opened, "step", lambda *batch: (rates.append(opened.rate), step(*batch)))
    monkeypatch.setattr(stages, "BATCH", 6)
    opened.learn(seen, np.arange(round(part * COUNT)), stages.Plan(2, 0))
    steps = 2 * round(part * COUNT) // 6
    expected = stages.RATE * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("by_chance", [True, False])
def test_last_stages_are_kept_only_where_they_help(monkeypatch, by_chance):
    monkeypatch.setattr(stages, "RATE", 1e-3)
    backbone, (pixels, labels) = network(), photos()
    if by_chance:
        labels = np.random.default_rng(1).permutation(labels)
    seen = known(backbone, labels)
    divided = stages.split_network(backbone)
    before, judged = backbone.network.get_weights(), cross_validate(seen.known, 0)
    if not by_chance:  # a layer on features that say nothing
        judged = cross_validate(Views(np.zeros_like(seen.known.features), labels, np.arange(COUNT), 3), 0)
    tried = stages.train_last_stages(divided, seen, judged, stages.Plan(8, 0))
    assert tried.found.frozen == pytest.approx((judged.logits.argmax(1) == labels).mean())
    assert tried.found.kept == (not by_chance)
    after = backbone.network.get_weights()
    if by_chance:
        assert tried.judged is judged
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        return
    assert tried.judged.accuracy == tried.found.opened > 0.6
    changed = {
        weight.path
        for weight, old in zip(backbone.network.weights, before, strict=True)
        if (weight.numpy() != old).any()
    }
    assert changed == {"second/kernel", "second/bias"}  # batch normalization and the stages in front stay
    last = tried.stages.last_layer
    model = backbone.classifier(last.kernel, last.bias)
    whole = model.predict(pixels / np.float32(255), verbose=0)
    logits = tried.logits(pixels)
    np.testing.assert_allclose(np.log(whole), logits - np.log(np.exp(logits).sum(1, keepdims=True)), atol=0.02)
    assert isinstance(last, head.Head)


@pytest.mark.slow
def test_two_devices_find_what_one_finds(tmp_path):
    log, path = tmp_path / "log", tmp_path / "two.npz"
    process = training_run.start(shared_features.write, log, path, CUDA_VISIBLE_DEVICES="-1")
    process.join()
    assert process.exitcode == 0, log.read_text(errors="replace")[-2000:]
    two = np.load(path)
    backbone, (pixels, labels) = network(), photos()
    np.testing.assert_allclose(two["features"], backbone.features(pixels), atol=1e-5)
    seen = known(backbone, labels)
    opened = stages.StageTrainer(stages.split_network(backbone), 3)
    before = opened.tail.get_weights()
    opened.learn(seen, np.arange(COUNT), stages.Plan(2, 0))
    assert any((old != new).any() for old, new in zip(before, opened.tail.get_weights(), strict=True))
    np.testing.assert_allclose(two["logits"], opened.logits(seen.cut[0]), atol=1e-3)
