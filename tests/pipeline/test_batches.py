import dataclasses
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from pipeline.data import samples
from pipeline.training import batches
from pipeline.training.settings import Settings


@pytest.fixture(scope="module")
def images(reference):
    return samples.read_calibration(reference)


def epoch_of(images, settings, number):
    return batches.Epoch(
        images,
        batches.order_of(images, settings, number),
        settings.batch_size,
        batches.plan_pass(images, settings, number),
        batches.weights_of_classes(images, balance=settings.balance_classes),
    )


def test_epochs_differ_in_order_and_augmentation_and_each_is_the_same_again(images):
    settings = Settings(batch_size=50)
    first, again, second = (epoch_of(images, settings, number) for number in (0, 0, 1))
    assert sorted(first.order) == sorted(second.order) == list(range(500))
    assert (first.order == again.order).all()
    assert (first.order != second.order).any()
    assert (first.planned.shift == again.planned.shift).all()
    assert (first.planned.shift != second.planned.shift).any()


def test_an_epoch_is_whole_batches(images):
    assert len(epoch_of(images, Settings(batch_size=128), 0).order) == 3 * 128


def test_no_tuner_holds_up_the_end_of_an_epoch(images):
    epoch = epoch_of(images, Settings(batch_size=50), 0)
    batched = batches.distribute(epoch, tf.distribute.get_strategy())
    assert batched.options().autotune.enabled is False
    assert len(list(batched)) == 10


def test_replicas_share_every_batch_without_overlap(images):
    epoch = epoch_of(images, Settings(batch_size=50), 0)
    whole = batches.rows_of(epoch, 9)
    for replica in range(2):
        for part, of_all in zip(batches.rows_of(epoch, 9, replica, 2), whole, strict=True):
            assert np.array_equal(part, of_all[replica::2])


def test_batches_come_in_order_and_leave_nothing_behind(images):
    epoch = epoch_of(images, Settings(batch_size=50), 0)
    planned = weakref.ref(epoch.planned)
    batched = batches.distribute(epoch, tf.distribute.get_strategy())
    for _ in range(2):
        for step, batch in enumerate(batched):
            for part, expected in zip(batch, batches.rows_of(epoch, step), strict=True):
                assert np.array_equal(part.numpy(), expected)
        assert step == 9
    del epoch, batched
    gc.collect()
    assert planned() is None


def test_balanced_images_weigh_as_much_in_every_class(images):
    few = np.flatnonzero(images.labels == 3)[:5]
    uneven = images.take(np.concatenate([np.flatnonzero(images.labels != 3), few]))
    weights = batches.weights_of_classes(uneven, balance=True)[uneven.labels]
    totals = [weights[uneven.labels == label].sum() for label in range(10)]
    assert totals == pytest.approx([totals[0]] * 10, rel=1e-5)
    epoch = epoch_of(uneven, dataclasses.replace(Settings(batch_size=50), balance_classes=True), 0)
    _, targets, given, _ = batches.rows_of(epoch, 0)
    assert given == pytest.approx((targets @ epoch.class_weights).tolist())
