from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline import artifacts
from pipeline.data import samples
from pipeline.errors import ArchitectureError
from pipeline.export.load.model import load_model
from pipeline.metrics.classification import accuracy
from pipeline.training import batches
from pipeline.training.learner import Learner
from pipeline.training.settings import Settings

SMALL = {"batch_size": 25, "warmup_epochs": 0, "weight_decay": 0.0, "dropout": 0.0}
STILL = 1e-12  # a learning rate that moves nothing


@pytest.fixture(scope="module")
def images(reference):
    return samples.read_calibration(reference)


def first_batch(images, settings, taught=None):
    epoch = batches.Epoch(
        images,
        batches.order_of(images, settings, 0),
        settings.batch_size,
        batches.plan_pass(images, settings, 0),
        batches.weights_of_classes(images, balance=False),
        taught,
    )
    return next(iter(batches.distribute(epoch, tf.distribute.get_strategy())))


def step(images, settings, taught=None):
    """The learner after one step, its trainable weights before it, and the step's loss."""
    learner = Learner(settings, images, 4, tf.distribute.get_strategy())
    before = [variable.numpy() for variable in learner.model.trainable_variables]
    loss, _ = learner.step(first_batch(images, settings, taught))
    return learner, before, float(loss)


@pytest.mark.slow
def test_sharpness_aware_step_comes_back_from_the_worst_point(images):
    learner, before, _ = step(images, Settings(**SMALL, learning_rate=STILL, sam_rho=0.5))
    for old, new in zip(before, learner.model.trainable_variables, strict=True):
        assert np.abs(old - new.numpy()).max() < 1e-6
    plain, sharp = (step(images, Settings(**SMALL, sam_rho=radius))[0] for radius in (0.0, 0.5))
    assert any(
        np.abs(one.numpy() - two.numpy()).max() > 1e-4
        for one, two in zip(plain.model.trainable_variables, sharp.model.trainable_variables, strict=True)
    )


@pytest.mark.slow
def test_averages_lie_between_old_and_new_weights(images):
    learner, before, _ = step(images, Settings(**SMALL, ema_decay=0.9))
    kept = {variable.path: weight for variable, weight in zip(learner.model.variables, learner.weights(), strict=True)}
    decay = min(0.9, (1 + 1) / (10 + 1))
    for old, new in zip(before, learner.model.trainable_variables, strict=True):
        assert np.allclose(kept[new.path], decay * old + (1 - decay) * new.numpy(), atol=1e-6)
        assert np.abs(new.numpy() - old).max() > 1e-4


@pytest.mark.slow
def test_loss_is_cross_entropy_with_the_teacher_at_its_temperature(images):
    taught = np.random.default_rng(0).normal(0, 3, (len(images), 10)).astype(np.float32)
    settings = Settings(**SMALL, learning_rate=STILL, teacher_weight=0.75, teacher_temperature=2.0, label_smoothing=0.1)
    learner, _, loss = step(images, settings, taught)
    pixels, targets, _, logits = first_batch(images, settings, taught)
    answers = learner.model(tf.cast(pixels, tf.float32) / 255, training=True).numpy().astype(np.float64)

    def softmax(values):
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    labels = -((0.9 * targets.numpy() + 0.01) * np.log(softmax(answers))).sum(axis=1).mean()
    teacher = -(softmax(logits.numpy() / 2.0) * np.log(softmax(answers / 2.0))).sum(axis=1).mean()
    assert loss == pytest.approx(0.25 * labels + 0.75 * 4 * teacher, rel=1e-4)


@pytest.mark.slow
def test_first_epochs_see_half_the_side(images):
    settings = Settings(**SMALL, model="vgg8", epochs=10, half_side=0.25, learning_rate=STILL, label_smoothing=0.0)
    assert [settings.halves(epoch) for epoch in range(4)] == [True, True, False, False]
    learner = Learner(settings, images, 4, tf.distribute.get_strategy())
    pixels, targets, _, _ = batch = first_batch(images, settings)
    whole = pixels.numpy().astype(np.float64) / 255
    halved = whole.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    for shown, seen in ((False, whole), (True, halved)):
        answers = learner.model(seen.astype(np.float32), training=True).numpy().astype(np.float64)
        logarithms = answers - np.log(np.exp(answers).sum(axis=1, keepdims=True))
        expected = -(targets.numpy() * logarithms).sum(axis=1).mean()
        assert float(learner.step(batch, halved=shown)[0]) == pytest.approx(expected, rel=1e-4)
    loss, _ = learner.evaluate(learner.weights(), images.take(np.arange(50)))
    assert np.isfinite(loss)


def test_a_network_of_one_side_cannot_begin_on_half_of_it(images):
    with pytest.raises(ArchitectureError, match="notes takes images of one side"):
        Learner(Settings(**SMALL, half_side=0.5), images, 4, tf.distribute.get_strategy())


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_teachers_part_of_the_loss_has_its_weight(weight):
    """Equal logits have a loss of ln 2 for any labels; with a teacher that is as uncertain, the loss is the same."""
    settings = Settings(teacher_weight=weight, teacher_temperature=2.0, label_smoothing=0.0)
    even, labels = tf.zeros((1, 2)), tf.constant([[0.0, 1.0]])
    losses = Learner._losses(SimpleNamespace(settings=settings), even, labels, tf.zeros((1, 2)))  # noqa: SLF001
    assert losses.numpy() == pytest.approx([np.log(2) * (1 - weight + 4 * weight)])


@pytest.mark.slow
def test_training_starts_from_a_model(images, reference):
    model = load_model(reference / artifacts.MODEL_KERAS)
    learner = Learner(Settings(**SMALL, ema_decay=0.9, learning_rate=STILL), images, 4, tf.distribute.get_strategy())
    learner.start_from(model, images)
    expected = accuracy(model.predict(images.pixels / np.float32(255), verbose=0), images.labels)
    for weights in (learner.weights(), [variable.numpy() for variable in learner.model.variables]):
        assert learner.evaluate(weights, images)[1] == pytest.approx(expected, abs=0.005)
