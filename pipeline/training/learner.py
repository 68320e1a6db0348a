"""The state of a training (weights, optimizer, averaged weights), and one training step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.metrics.classification import accuracy
from pipeline.models import build_trainable, check_side
from pipeline.models.unfold import IMAGES, unfold
from pipeline.training.settings import Settings

Arrays = list[NDArray[Any]]
EVALUATION_BATCH = 1_000


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class Learner:
    """A trainable network under a distribution strategy.

    Attributes:
        model: the network being trained; its outputs are logits.
        optimizer: AdamW with warm-up and cosine decay.

    Raises:
        PipelineError: the batch cannot be divided among the replicas, or ``sam_rho`` with several replicas.
        ArchitectureError: the network cannot have half the side.
    """

    def __init__(self, settings: Settings, data: Dataset, steps: int, strategy: tf.distribute.Strategy) -> None:
        self.settings, self.strategy, self.steps = settings, strategy, steps
        self.replicas = int(strategy.num_replicas_in_sync)
        if settings.batch_size % self.replicas:
            raise PipelineError(f"batch size {settings.batch_size} cannot be shared evenly by {self.replicas} replicas")
        if settings.sam_rho and self.replicas > 1:
            raise PipelineError("sharpness-aware steps run on one replica only: train without --distribute")
        if settings.half_side:
            check_side(settings.model, *(extent // 2 for extent in data.size))
        build = partial(
            build_trainable,
            settings.model,
            len(data.class_names),
            dropout=settings.dropout,
            reparam=settings.reparam,
        )
        height, width = data.size
        keras.utils.set_random_seed(settings.seed)
        with strategy.scope(), _precision("mixed_bfloat16" if settings.mixed_precision else "float32"):
            self.model = build(side=None) if settings.half_side else build(side=height, width=width)
            self.optimizer = keras.optimizers.AdamW(self._schedule(), weight_decay=settings.weight_decay)
            self.optimizer.build(self.model.trainable_variables)
            self.averages = [tf.Variable(variable.value) for variable in self._averaged()]
        self._judge = build(side=height, width=width)
        self._step = tf.function(self._distributed_step)
        self._logits = tf.function(lambda pixels: self._judge(_scaled(pixels), training=False))

    def start_from(self, model: keras.Model, images: Dataset) -> None:
        """Set the weights to those of a deployed ``model`` of the same network; see ``unfold``.

        Raises:
            ArchitectureError: the model does not have the layers of this network.
        """
        unfold(model, self._judge, _scaled(images.pixels[:IMAGES]).numpy())
        with self.strategy.scope():
            for variable, value in zip(self.model.variables, self._judge.variables, strict=True):
                variable.assign(value.numpy())
            for average, variable in zip(self.averages, self._averaged(), strict=True):
                average.assign(variable.value)

    def _schedule(self) -> keras.optimizers.schedules.LearningRateSchedule:
        total = self.settings.epochs * self.steps
        warmup = min(self.settings.warmup_epochs * self.steps, total // 2)
        rate = self.settings.learning_rate
        if not warmup:
            return keras.optimizers.schedules.CosineDecay(rate, total)
        return keras.optimizers.schedules.CosineDecay(0.0, total - warmup, warmup_target=rate, warmup_steps=warmup)

    def _averaged(self) -> list[keras.Variable]:
        """Return the variables that are averaged: all but the states of random generators; none without averaging."""
        return [v for v in self.model.variables if v.dtype == "float32"] if self.settings.ema_decay else []

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self.optimizer.learning_rate)

    def step(self, batch: tuple[tf.Tensor, ...], *, halved: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch; return its mean loss and accuracy (0-1).

        Args:
            batch: an element of ``batches.distribute``.
            halved: whether the images are reduced to half their side.
        """
        result: tuple[tf.Tensor, tf.Tensor] = self._step(batch, halved=halved)
        return result

    def _distributed_step(self, batch: tuple[tf.Tensor, ...], *, halved: bool) -> tuple[tf.Tensor, tf.Tensor]:
        loss, hits = self.strategy.run(partial(self._replica_step, halved=halved), args=batch)
        decay = tf.minimum(self.settings.ema_decay, (1.0 + self._done()) / (10.0 + self._done()))
        for average, variable in zip(self.averages, self._averaged(), strict=True):
            average.assign(average * decay + variable.value * (1 - decay))
        total = tf.distribute.ReduceOp.SUM
        return self.strategy.reduce(total, loss, axis=None), self.strategy.reduce(total, hits, axis=None)

    def _done(self) -> tf.Tensor:
        return tf.cast(self.optimizer.iterations.value, tf.float32)

    def _replica_step(
        self, pixels: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, taught: tf.Tensor, *, halved: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        images, variables = _scaled(pixels), self.model.trainable_variables
        if halved:
            images = tf.nn.avg_pool2d(images, 2, 2, "VALID")

        def gradients() -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                logits = self.model(images, training=True)
                loss = tf.reduce_mean(weights * self._losses(logits, targets, taught)) / self.replicas
            return loss, logits, tape.gradient(loss, [variable.value for variable in variables])

        loss, logits, steepest = gradients()
        if self.settings.sam_rho:  # Foret et al., 2021: the gradient at the worst point nearby
            scale = self.settings.sam_rho / (tf.linalg.global_norm(steepest) + 1e-12)
            for variable, gradient in zip(variables, steepest, strict=True):
                variable.assign_add(gradient * scale)
            _, _, at_worst = gradients()
            for variable, gradient in zip(variables, steepest, strict=True):
                variable.assign_sub(gradient * scale)
            steepest = at_worst
        self.optimizer.apply(steepest, variables)
        hits = tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32)
        return loss, tf.reduce_mean(hits) / self.replicas

    def _losses(self, logits: tf.Tensor, targets: tf.Tensor, taught: tf.Tensor) -> tf.Tensor:
        """Return the cross-entropy with the targets and, if there is a teacher, with its outputs: float32 (B,).

        Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015.
        """
        smoothing = self.settings.label_smoothing
        smoothed = targets * (1 - smoothing) + smoothing / targets.shape[1]
        losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        if not taught.shape[1]:
            return losses
        weight, temperature = self.settings.teacher_weight, self.settings.teacher_temperature
        softened = tf.nn.softmax(taught / temperature)
        imitation = tf.nn.softmax_cross_entropy_with_logits(softened, logits / temperature)
        return (1 - weight) * losses + weight * temperature**2 * imitation

    def weights(self) -> Arrays:
        """Return the weights to keep: averaged ones if averaging is on, else the model's own."""
        averages = iter(self.averages)
        averaged = {id(variable) for variable in self._averaged()}
        return [next(averages).numpy() if id(v) in averaged else v.numpy() for v in self.model.variables]

    def evaluate(self, weights: Arrays, data: Dataset) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy (0-1) of ``weights`` on images without augmentation."""
        self.trained(weights)
        chunks = np.array_split(np.arange(len(data)), math.ceil(len(data) / EVALUATION_BATCH))
        logits = np.concatenate([self._logits(data.pixels[chunk]).numpy() for chunk in chunks])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(data.labels.astype(np.int64), logits)
        return float(np.mean(losses)), accuracy(logits, data.labels)

    def trained(self, weights: Arrays) -> keras.Model:
        """Return the trainable network with ``weights``, in float32 and outside the distribution strategy."""
        for variable, value in zip(self._judge.variables, weights, strict=True):
            variable.assign(value)
        return self._judge

    def state(self) -> dict[str, Arrays]:
        """Return a copy of all variables that the next step depends on."""
        return {
            "model": [variable.numpy() for variable in self.model.variables],
            "optimizer": [variable.numpy() for variable in self.optimizer.variables],
            "averages": [variable.numpy() for variable in self.averages],
        }

    def restore(self, state: dict[str, Arrays]) -> None:
        """Set all variables to a ``state`` of the same settings."""
        with self.strategy.scope():
            for variables, name in (
                (self.model.variables, "model"),
                (self.optimizer.variables, "optimizer"),
                (self.averages, "averages"),
            ):
                for variable, value in zip(variables, state[name], strict=True):
                    variable.assign(value)


def _scaled(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(pixels, tf.float32) / 255
