"""Make the batches of an epoch, in an order and with an augmentation that depend only on seed and epoch."""

import weakref
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.data.folder import class_weights
from pipeline.errors import PipelineError
from pipeline.training import augmentation
from pipeline.training.augmentation import Pass
from pipeline.training.settings import Settings
from runtime.text import plural

ORDER, AUGMENTATION = 0, 1  # part of the seeds, so that order and augmentation have different random streams
PREFETCHED = 4


@dataclass(frozen=True)
class Epoch:
    """One epoch of training images.

    Attributes:
        images: the training set.
        order: int (steps * batch_size,), indices of images.
        batch_size: images per step, of all replicas together.
        planned: the augmentation.
        class_weights: float32 (C,), weight of an image of each class.
        taught: float32 (N, C), logits of the teacher on the augmented images; ``None`` without a teacher.
    """

    images: Dataset
    order: NDArray[np.int64]
    batch_size: int
    planned: Pass
    class_weights: NDArray[np.float32]
    taught: NDArray[np.float32] | None = None


def steps_an_epoch(images: Dataset, settings: Settings) -> int:
    """Return the number of full batches per epoch; the remaining images are left out of the epoch.

    Raises:
        PipelineError: there are fewer images than one batch.
    """
    if len(images) < settings.batch_size:
        raise PipelineError(
            f"{plural(len(images), 'training image')} cannot fill one batch of {settings.batch_size}: lower "
            "--batch-size"
        )
    return len(images) // settings.batch_size


def plan_pass(images: Dataset, settings: Settings, pass_number: int) -> Pass:
    """Draw the augmentation of one pass."""
    return augmentation.draw(len(images), images.size, settings, (settings.seed, AUGMENTATION, pass_number))


def order_of(images: Dataset, settings: Settings, epoch: int) -> NDArray[np.int64]:
    """Draw the order of the images in ``epoch`` (from 0), cut to full batches."""
    random = np.random.default_rng((settings.seed, ORDER, epoch))
    return random.permutation(len(images))[: steps_an_epoch(images, settings) * settings.batch_size]


def weights_of_classes(images: Dataset, *, balance: bool) -> NDArray[np.float32]:
    """Return the weight of an image of each class, float32 (C,): 1, or such that classes have equal total weight."""
    class_count = len(images.class_names)
    weights = class_weights(images.labels, class_count) if balance else {}
    return np.asarray([weights.get(label, 1.0) for label in range(class_count)], np.float32)


def distribute(epoch: Epoch, strategy: tf.distribute.Strategy) -> tf.data.Dataset:
    """Make the batches as ``(pixels, targets, weights, taught)``, one element for each replica and step.

    Replica r of R takes rows r, r + R, r + 2R … of each batch, so that no two machines read the same image.
    ``taught`` has 0 columns without a teacher. The caller must keep a reference to ``epoch`` until all batches are
    read.
    """
    replicas, steps = strategy.num_replicas_in_sync, len(epoch.order) // epoch.batch_size
    kept = weakref.ref(epoch)  # TensorFlow never frees a Python function that it may call, nor what it references
    size, class_count = epoch.images.size, len(epoch.images.class_names)
    signature = (
        tf.TensorSpec((epoch.batch_size // replicas, *size, 3), tf.uint8),
        tf.TensorSpec((epoch.batch_size // replicas, class_count), tf.float32),
        tf.TensorSpec((epoch.batch_size // replicas,), tf.float32),
        tf.TensorSpec((epoch.batch_size // replicas, 0 if epoch.taught is None else class_count), tf.float32),
    )

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def rows(index: NDArray[np.int64]) -> tuple[NDArray[np.generic], ...]:
            step, replica = divmod(int(index), local)
            if (alive := kept()) is None:
                raise PipelineError("batches are read after their epoch was deleted: keep a reference to the epoch")
            return rows_of(alive, step, first + replica, replicas)

        def batch(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
            parts = tf.numpy_function(rows, [index], [spec.dtype for spec in signature])
            return tuple(tf.ensure_shape(part, spec.shape) for part, spec in zip(parts, signature, strict=True))

        # Not Dataset.from_generator: with it, memory is returned to the system after each tensor, and a step takes more
        # than twice the time.
        return tf.data.Dataset.range(steps * local).map(batch).prefetch(PREFETCHED).with_options(options)

    options = tf.data.Options()
    # There is nothing to tune, and the end of an epoch may have to wait for the tuner, which wakes once a minute.
    options.autotune.enabled = False
    return strategy.distribute_datasets_from_function(make)


def rows_of(epoch: Epoch, step: int, replica: int = 0, replicas: int = 1) -> tuple[NDArray[np.generic], ...]:
    """Return the part of a batch that one of several replicas takes, in the form of ``distribute``."""
    images, class_count = epoch.images, len(epoch.images.class_names)
    rows = epoch.order[step * epoch.batch_size : (step + 1) * epoch.batch_size][replica::replicas]
    targets = augmentation.targets(images.labels, class_count, epoch.planned, rows)
    taught = np.zeros((len(rows), 0), np.float32) if epoch.taught is None else epoch.taught[rows]
    pixels = augmentation.apply(images.pixels, epoch.planned, rows)
    return pixels, targets, targets @ epoch.class_weights, taught
