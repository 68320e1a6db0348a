"""Fine-tune a network in float, or with weights and activations quantized as in int8 files."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.data.dataset import Dataset, in_batches, stratified_indices
from pipeline.errors import PipelineError
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.head import logits_model
from pipeline.export.quantize.learned import simulation_of
from pipeline.export.quantize.simulation import Simulation
from pipeline.training import batches
from pipeline.training.batches import Epoch
from pipeline.training.quantize_aware.ranges import LearnedRanges, measure
from pipeline.training.quantize_aware.settings import FineTuning

CALIBRATION, EVALUATION_BATCH = 500, 250
"""Number of training images that initialize the ranges, and number of images per batch in evaluation."""


class FineTuner:
    """The fine-tuning of a classifier.

    Args:
        deployable: the classifier; its own weights are trained.
        training: the images.
        settings: of fine-tuning.

    Raises:
        ArchitectureError: for quantization-aware training, the int8 form of a layer is not known.
        PipelineError: the model is multi-label, or there are fewer images than one batch.
    """

    def __init__(self, deployable: Deployable, training: Dataset, settings: FineTuning) -> None:
        if deployable.multi_label:
            raise PipelineError("a multi-label model cannot be fine-tuned here: only one with one class an image can")
        self._deployable, self._training, self._settings = deployable, training, settings
        self._steps = batches.steps_an_epoch(training, settings.training_settings)
        self._network = logits_model(deployable.model)
        self._before = keras.models.clone_model(self._network)
        self._before.set_weights(self._network.get_weights())
        self._simulation = None if settings.scheme is None else simulation_of(deployable, network=self._network)
        self._ranges = None if self._simulation is None else self._measured(self._simulation)
        total = settings.epochs * self._steps
        self._optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(settings.learning_rate, total))
        with _all_trainable(self._network):
            self._variables = list(self._network.trainable_variables)
        self._variables += [] if self._ranges is None else self._ranges.variables
        self._optimizer.build(self._variables)
        self._step = tf.function(self._learn, autograph=False)
        self._answer = tf.function(self._logits, autograph=False)

    def epoch(self, number: int) -> tuple[float, float]:
        """Train on all images once; return mean loss and accuracy (0-1) on the augmented images."""
        training_settings, images = self._settings.training_settings, self._training
        epoch = Epoch(
            images,
            batches.order_of(images, training_settings, number),
            training_settings.batch_size,
            batches.plan_pass(images, training_settings, number),
            batches.weights_of_classes(images, balance=False),
        )
        results = []
        shown = tqdm(
            batches.distribute(epoch, tf.distribute.get_strategy()),
            total=self._steps, desc=f"epoch {number + 1} of {self._settings.epochs}", unit="step", disable=None,
        )  # fmt: skip
        for pixels, targets, _, _ in shown:
            results.append(self._step(pixels, targets))
        loss, hits = np.asarray(results, np.float64).mean(axis=0)
        return float(loss), float(hits)

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute logits, float32 (N, C), of images, uint8 (N, H, W, 3), with simulated int8 if it is trained so."""
        parts = in_batches(pixels, EVALUATION_BATCH)
        return np.concatenate([self._answer(tf.convert_to_tensor(part)).numpy() for part in parts])

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._optimizer.learning_rate)

    def numbers(self) -> dict[str, tuple[float, float]]:
        """Return point -> learned range (lowest, highest); empty without quantization-aware training."""
        return {} if self._ranges is None else self._ranges.numbers()

    def finish(self) -> None:
        """Quantize the weights for good, and copy the last layer to the classifier, which shares all other layers.

        In float the network then has the same weight values as its int8 files; only activations differ.
        """
        if self._simulation is not None and self._settings.scheme is not None:
            self._simulation.round_weights(self._settings.scheme)
        own = {layer.name: layer for layer in self._deployable.model._flatten_layers()}  # noqa: SLF001 - no public list
        for layer in self._network._flatten_layers():  # noqa: SLF001
            target = own.get(layer.name)
            if target is not None and target is not layer and not isinstance(layer, keras.Model) and layer.weights:
                target.set_weights(layer.get_weights())

    def _measured(self, simulation: Simulation) -> LearnedRanges:
        images = self._training
        count = max(min(CALIBRATION, len(images)), len(images.class_names))
        chosen = images.pixels[stratified_indices(images.labels, count, self._settings.seed)]
        parts = in_batches(chosen, self._settings.batch_size)
        found = measure(simulation, [self._deployable.scaling(part) for part in parts])
        return LearnedRanges(simulation.points, found)

    def _scaled(self, pixels: tf.Tensor) -> tf.Tensor:
        scaling = self._deployable.scaling
        image = tf.cast(pixels, tf.float32) * np.array(scaling.scale, np.float32)
        image += np.array(scaling.offset, np.float32)
        return image[..., ::-1] if scaling.bgr else image

    def _logits(self, pixels: tf.Tensor) -> tf.Tensor:
        image = self._scaled(pixels)
        if self._simulation is None or self._ranges is None:
            return self._network(image, training=False)
        return self._simulation(image, self._settings.scheme, self._ranges())

    def _learn(self, pixels: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        weight = self._settings.distillation_weight
        taught = tf.nn.softmax(self._before(self._scaled(pixels), training=False))
        with tf.GradientTape() as tape:
            logits = self._logits(pixels)
            aims = (1 - weight) * targets + weight * taught
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(aims, logits))
        sources = [variable.value for variable in self._variables]
        gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._optimizer.apply(gradients, self._variables)
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32))


@contextmanager
def _all_trainable(network: keras.Model) -> Iterator[None]:
    """Make frozen layers trainable during the block, so that their weights are listed as trainable, too."""
    layers = network._flatten_layers()  # noqa: SLF001 - Keras has no public list of nested layers
    frozen = [layer for layer in layers if not layer.trainable]
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False
