"""The last stages of a pretrained network, opened: trained at a low rate on what the stages before them say.

The stages in front stay as they are, so that their output is computed once a view and kept, and an epoch costs no more
than the last stages. Their batch normalization stays at what the network was pretrained with; the weights that are kept
are averaged over the steps.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.data.folds import stratified
from pipeline.documents.history import OpenedStages
from pipeline.errors import ArchitectureError
from pipeline.metrics.classification import correct
from pipeline.metrics.significance import mcnemar_one_sided
from pipeline.models import summarize
from pipeline.training import distribution
from pipeline.training.transfer import head
from pipeline.training.transfer.backbone import Backbone
from pipeline.training.transfer.features import features
from pipeline.training.transfer.judge import Judged, Views, out_of_fold_temperature
from pipeline.training.transfer.plan import epochs_within

PART = 0.25
"""Of a network's multiply-accumulates, the largest part that is opened."""
RATE, WEIGHT_DECAY = 1e-4, 1e-4
AVERAGED = 0.1
"""Part of the steps over which weights are averaged."""
EPOCHS, FEWEST_EPOCHS, BATCH = 8, 2, 32
FOLDS = 5
MOST_CHANCE = 0.05
"""P-value of McNemar's one-sided test below which opened stages are kept."""

Cut = NDArray[np.float16]
"""Outputs of the frozen stages for V views of N photos: (V, N, H * W * C)."""


@dataclass(frozen=True)
class Divided:
    """A network in two.

    Attributes:
        stem: photos to the flat output of the layer ``cut``.
        tail: that output (N, H, W, C) to features (N, D); its layers are those of the network.
        cut: name of the layer.
    """

    stem: Backbone
    tail: keras.Model
    cut: str


def divide(backbone: Backbone) -> Divided:
    """Cut a network where the part behind the cut is as large as ``PART`` allows.

    Raises:
        ArchitectureError: it has no place where one tensor alone goes on.
    """
    network = backbone.network
    work = [0, *(row.multiply_accumulates for row in summarize(network))]  # the first layer is the input
    for place in _places(network.layers):
        if 0 < sum(work[place + 1 :]) <= PART * sum(work):
            layer = network.layers[place]
            flat = keras.Model(network.inputs[0], layers.Flatten()(layer.output), name=f"{network.name}-stem")
            stem = Backbone(f"{backbone.name} up to {layer.name}", flat, backbone.scaling, backbone.strategy)
            return Divided(stem, keras.Model(layer.output, network.outputs[0]), layer.name)
    raise ArchitectureError(f"{backbone.name}: has no last stages that could be opened; leave --open-stages out")


def _places(stack: list[keras.layers.Layer]) -> list[int]:
    """Layers whose output (N, H, W, C) is all of what goes on to those behind them."""
    try:
        made = {id(layer.output): at for at, layer in enumerate(stack)}
        read = dict.fromkeys(range(len(stack)), 0)
        for at, layer in enumerate(stack[1:], start=1):
            for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
                read[made[id(tensor)]] = at
    except (AttributeError, ValueError, KeyError):  # a layer that is called twice, or that is a network itself
        return []
    places, furthest = [], 0
    for at, layer in enumerate(stack):
        if furthest <= at and at and len(layer.output.shape) == 4:
            places.append(at)
        furthest = max(furthest, read[at])
    return places


@dataclass(frozen=True)
class Plan:
    """How stages are opened.

    Attributes:
        epochs: passes over the photos, for each fold and for the network that is kept.
        seed: of order, views and folds.
    """

    epochs: int
    seed: int


@dataclass(frozen=True)
class Photos:
    """What is known of the photos.

    Attributes:
        known: labels, groups, and what the whole network says.
        cut: what its frozen stages say.
    """

    known: Views
    cut: Cut


class Opened:
    """The last stages while they learn, with the last layer behind them.

    Attributes:
        tail: the network's own stages, which get what was learned at the end of each fit.
        model: a copy of them with the last layer, on every device of the strategy.
    """

    def __init__(self, divided: Divided, class_count: int) -> None:
        self.strategy = divided.stem.strategy or tf.distribute.get_strategy()
        self.replicas = int(self.strategy.num_replicas_in_sync)
        self.tail = divided.tail
        self.shape = tuple(int(extent) for extent in divided.tail.input_shape[1:])
        with self.strategy.scope():
            copy, self.last = keras.models.clone_model(self.tail), layers.Dense(class_count)
            for layer in copy.layers:
                if isinstance(layer, layers.BatchNormalization):
                    layer.trainable = False
            self.model = keras.Sequential([keras.Input(self.shape), copy, self.last])
            self.optimizer = keras.optimizers.AdamW(RATE, weight_decay=WEIGHT_DECAY)
            self.optimizer.build(self.model.trainable_variables)
        self.copy, self.pretrained = copy, self.tail.get_weights()
        self._step = tf.function(lambda seen, labels: self.strategy.run(self._replica_step, args=(seen, labels)))
        self._answers = tf.function(lambda seen: self.tail(seen, training=False))

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self.optimizer.learning_rate)

    @property
    def last_layer(self) -> head.Head:
        """The last layer."""
        return head.Head(*self.last.get_weights())

    def learn(self, photos: Photos, chosen: NDArray[np.int64], plan: Plan) -> None:
        """Train on the photos at ``chosen``, each time in a view that is drawn, from the pretrained weights on.

        The rate falls by a cosine over the steps of this fit; the weights that stay are averaged over its last steps.
        """
        known, cut = photos.known, photos.cut
        labels = known.labels
        fitted = head.fit(known.features, labels, known.class_count, chosen=chosen)
        self.copy.set_weights(self.pretrained)
        self.last.set_weights([fitted.kernel, fitted.bias])
        for variable in self.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        random = np.random.default_rng(plan.seed)
        batch = max(min(BATCH, len(chosen)) // self.replicas, 1) * self.replicas
        steps, done = plan.epochs * (len(chosen) // batch), 0
        momentum = max(1 - 1 / max(AVERAGED * steps, 1), 0.0)
        trained = self.model.trainable_variables
        averages = [variable.numpy() for variable in trained]
        for _ in range(plan.epochs):
            order = random.permutation(chosen)
            for start in range(0, len(order) - batch + 1, batch):  # full batches alone: each size is compiled anew
                rows = order[start : start + batch]
                seen = self._shaped(cut[random.integers(0, len(cut), batch), rows])
                self.optimizer.learning_rate.assign(RATE * (1 + math.cos(math.pi * done / steps)) / 2)
                self.step(seen, labels[rows])
                averages = [
                    momentum * average + (1 - momentum) * variable.numpy()
                    for average, variable in zip(averages, trained, strict=True)
                ]
                done += 1
        for variable, average in zip(trained, averages, strict=True):
            variable.assign(average)
        self.tail.set_weights(self.copy.get_weights())

    def step(self, seen: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> None:
        """Learn from one batch, (B, H, W, C) and (B,), which the devices share."""
        shares = [(seen[at :: self.replicas], labels[at :: self.replicas]) for at in range(self.replicas)]
        self._step(*distribution.shared(self.strategy, shares))

    def _replica_step(self, seen: tf.Tensor, labels: tf.Tensor) -> None:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.model(seen, training=True))
            loss = tf.reduce_mean(losses) / self.replicas
        self.optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

    def logits(self, cut: NDArray[np.float16]) -> NDArray[np.float64]:
        """Of photos: (N, H * W * C) to (N, C)."""
        parts = []
        for start in range(0, len(cut), BATCH):
            seen = self._shaped(cut[start : start + BATCH])
            padded = np.concatenate([seen, np.zeros((BATCH - len(seen), *self.shape), np.float32)])
            parts.append(self._answers(padded).numpy()[: len(seen)])
        return self.last_layer.logits(np.concatenate(parts))

    def _shaped(self, flat: NDArray[np.float16]) -> NDArray[np.float32]:
        return flat.reshape(-1, *self.shape).astype(np.float32)


def planned(divided: Divided, photos: int, minutes: float, seed: int) -> Plan:
    """As many epochs as fit into the minutes, of ``FEWEST_EPOCHS`` to ``EPOCHS``; no clock is asked."""
    work = sum(row.multiply_accumulates for row in summarize(divided.tail))
    affordable = epochs_within(minutes, work, photos * (FOLDS + 1))
    return Plan(int(max(FEWEST_EPOCHS, min(affordable, EPOCHS))), seed)


@dataclass(frozen=True)
class Tried:
    """What opening the last stages brought.

    Attributes:
        divided: the network.
        found: for the history.
        judged: how good the network is that is kept.
        stages: trained on all photos; ``None`` where the network stays as it was pretrained.
    """

    divided: Divided
    found: OpenedStages
    judged: Judged
    stages: Opened | None

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Of photos, uint8 (N, S, S, 3), by the opened stages: (N, C)."""
        if self.stages is None:
            raise ValueError("no stages were kept")
        return self.stages.logits(features(self.divided.stem, pixels, [0])[0])


def open_last(divided: Divided, photos: Photos, judged: Judged, plan: Plan) -> Tried:
    """Open the last stages, if cross-validation says that this is better than chance explains.

    Args:
        divided: the network.
        photos: what it learns from.
        judged: the network with a new last layer alone.
        plan: how.
    """
    known = photos.known
    count = min(FOLDS, len(np.unique(known.groups)))
    folds = stratified(known.labels, known.groups, count, plan.seed)
    opened = Opened(divided, known.class_count)
    logits = np.zeros_like(judged.logits)
    for fold in tqdm(range(count), unit="fold", desc="open stages", disable=None):
        opened.learn(photos, np.flatnonzero(folds != fold), plan)
        logits[folds == fold] = opened.logits(photos.cut[0, folds == fold])
    better, frozen = correct(logits, known.labels), correct(judged.logits, known.labels)
    chance = mcnemar_one_sided(int((better & ~frozen).sum()), int((frozen & ~better).sum()))
    found = OpenedStages(
        behind=divided.cut,
        epochs=plan.epochs,
        images=len(folds),
        frozen=float(frozen.mean()),
        opened=float(better.mean()),
        p_value=chance,
        kept=chance < MOST_CHANCE,
    )
    if not found.kept:
        opened.tail.set_weights(opened.pretrained)
        return Tried(divided, found, judged, None)
    opened.learn(photos, np.arange(len(folds)), plan)
    better_judged = replace(
        judged,
        logits=logits,
        accuracy=found.opened,
        folds=count,
        repeats=1,
        curve=(*judged.curve[:-1], (judged.curve[-1][0], found.opened)),
        temperature=out_of_fold_temperature(logits, known.labels, folds),
    )
    return Tried(divided, found, better_judged, opened)
