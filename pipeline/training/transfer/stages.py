"""Train the last stages of a pretrained network, too, at a low learning rate ("open" them).

The earlier stages stay frozen, so their output is computed once for each view and cached, and an epoch costs only the
last stages. Batch normalization stays frozen, too. The weights that are kept are averaged over the last steps.
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
from pipeline.documents.history import FineTunedStages
from pipeline.errors import ArchitectureError
from pipeline.metrics.classification import correct
from pipeline.metrics.significance import mcnemar_one_sided
from pipeline.models import summarize
from pipeline.training import distribution
from pipeline.training.transfer import head
from pipeline.training.transfer.backbone import Backbone
from pipeline.training.transfer.cross_validation import CrossValidation, Views, out_of_fold_temperature
from pipeline.training.transfer.features import features
from pipeline.training.transfer.plan import epochs_within

PART = 0.25
"""At most this share of the network's multiply-accumulates is in the opened stages."""
RATE, WEIGHT_DECAY = 1e-4, 1e-4
AVERAGED = 0.1
"""Share of the steps over which weights are averaged."""
EPOCHS, FEWEST_EPOCHS, BATCH = 8, 2, 32
FOLDS = 5
MOST_CHANCE = 0.05
"""P-value of McNemar's one-sided test below which opened stages are kept."""

Cut = NDArray[np.float16]
"""Outputs of the frozen stages for V views of N photos: (V, N, H * W * C)."""


@dataclass(frozen=True)
class SplitNetwork:
    """A network that is split into frozen and opened stages.

    Attributes:
        stem: the frozen stages: photos to the flattened output of the layer ``cut``.
        tail: the opened stages: the output of that layer, (N, H, W, C), to features (N, D); it shares the network's
            layers.
        cut: name of the last frozen layer.
    """

    stem: Backbone
    tail: keras.Model
    cut: str


def split_network(backbone: Backbone) -> SplitNetwork:
    """Divide a network such that the opened stages are as large as ``PART`` allows.

    Raises:
        ArchitectureError: there is no suitable layer whose output alone is passed on.
    """
    network = backbone.network
    work = [0, *(row.multiply_accumulates for row in summarize(network))]  # the first layer is the input
    for place in _places(network.layers):
        if 0 < sum(work[place + 1 :]) <= PART * sum(work):
            layer = network.layers[place]
            flat = keras.Model(network.inputs[0], layers.Flatten()(layer.output), name=f"{network.name}-stem")
            stem = Backbone(f"{backbone.name} up to {layer.name}", flat, backbone.scaling, backbone.strategy)
            return SplitNetwork(stem, keras.Model(layer.output, network.outputs[0]), layer.name)
    raise ArchitectureError(f"{backbone.name}: has no last stages that could be opened; leave --open-stages out")


def _places(stack: list[keras.layers.Layer]) -> list[int]:
    """Return the indices of layers whose output, (N, H, W, C), is the only tensor that later layers read."""
    try:
        made = {id(layer.output): at for at, layer in enumerate(stack)}
        read = dict.fromkeys(range(len(stack)), 0)
        for at, layer in enumerate(stack[1:], start=1):
            for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
                read[made[id(tensor)]] = at
    except (AttributeError, ValueError, KeyError):  # a layer that is called twice, or a nested model
        return []
    places, furthest = [], 0
    for at, layer in enumerate(stack):
        if furthest <= at and at and len(layer.output.shape) == 4:
            places.append(at)
        furthest = max(furthest, read[at])
    return places


@dataclass(frozen=True)
class Plan:
    """Settings for training stages.

    Attributes:
        epochs: passes over the photos, for each fold and for the final network.
        seed: of order, views and folds.
    """

    epochs: int
    seed: int


@dataclass(frozen=True)
class Photos:
    """The photos that the stages are trained on.

    Attributes:
        known: labels, groups, and features of the whole pretrained network.
        cut: outputs of the frozen stages.
    """

    known: Views
    cut: Cut


class StageTrainer:
    """The training of the last stages and of the last layer after them.

    Attributes:
        tail: the network's own stages, which get the trained weights at the end of each fit.
        model: a copy of them with the last layer, on every device of the strategy; it is trained.
    """

    def __init__(self, split: SplitNetwork, class_count: int) -> None:
        self.strategy = split.stem.strategy or tf.distribute.get_strategy()
        self.replicas = int(self.strategy.num_replicas_in_sync)
        self.tail = split.tail
        self.shape = tuple(int(extent) for extent in split.tail.input_shape[1:])
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
        """The last layer with its present weights."""
        return head.Head(*self.last.get_weights())

    def learn(self, photos: Photos, chosen: NDArray[np.int64], plan: Plan) -> None:
        """Train on the photos at ``chosen``, starting from the pretrained weights; views are drawn at random.

        The learning rate has a cosine decay over the steps of this fit; the weights are averaged over its last steps.
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
            for start in range(0, len(order) - batch + 1, batch):  # only full batches: another size would recompile
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
        """Train on one batch, (B, H, W, C) and labels (B,), which is divided among the devices."""
        shares = [(seen[at :: self.replicas], labels[at :: self.replicas]) for at in range(self.replicas)]
        self._step(*distribution.shared(self.strategy, shares))

    def _replica_step(self, seen: tf.Tensor, labels: tf.Tensor) -> None:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.model(seen, training=True))
            loss = tf.reduce_mean(losses) / self.replicas
        self.optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

    def logits(self, cut: NDArray[np.float16]) -> NDArray[np.float64]:
        """Compute logits, (N, C), from outputs of the frozen stages, (N, H * W * C)."""
        parts = []
        for start in range(0, len(cut), BATCH):
            seen = self._shaped(cut[start : start + BATCH])
            padded = np.concatenate([seen, np.zeros((BATCH - len(seen), *self.shape), np.float32)])
            parts.append(self._answers(padded).numpy()[: len(seen)])
        return self.last_layer.logits(np.concatenate(parts))

    def _shaped(self, flat: NDArray[np.float16]) -> NDArray[np.float32]:
        return flat.reshape(-1, *self.shape).astype(np.float32)


def planned(split: SplitNetwork, photos: int, minutes: float, seed: int) -> Plan:
    """Plan as many epochs as fit into the minutes, ``FEWEST_EPOCHS`` to ``EPOCHS``, from a cost model."""
    work = sum(row.multiply_accumulates for row in summarize(split.tail))
    affordable = epochs_within(minutes, work, photos * (FOLDS + 1))
    return Plan(int(max(FEWEST_EPOCHS, min(affordable, EPOCHS))), seed)


@dataclass(frozen=True)
class StagesResult:
    """The result of training the last stages.

    Attributes:
        split: the network.
        found: the entry for the history.
        judged: cross-validation of the network that is kept.
        stages: the stages trained on all photos; ``None`` if the network keeps its pretrained stages.
    """

    split: SplitNetwork
    found: FineTunedStages
    judged: CrossValidation
    stages: StageTrainer | None

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute logits, (N, C), of photos, uint8 (N, S, S, 3), with the trained stages.

        Raises:
            ValueError: no stages were kept.
        """
        if self.stages is None:
            raise ValueError("no stages were kept")
        return self.stages.logits(features(self.split.stem, pixels, [0])[0])


def train_last_stages(split: SplitNetwork, photos: Photos, judged: CrossValidation, plan: Plan) -> StagesResult:
    """Train the last stages; keep them if cross-validation finds them significantly better.

    Args:
        split: the network.
        photos: the training photos.
        judged: cross-validation of the network with only a new last layer.
        plan: epochs and seed.
    """
    known = photos.known
    count = min(FOLDS, len(np.unique(known.groups)))
    folds = stratified(known.labels, known.groups, count, plan.seed)
    trainer = StageTrainer(split, known.class_count)
    logits = np.zeros_like(judged.logits)
    for fold in tqdm(range(count), unit="fold", desc="open stages", disable=None):
        trainer.learn(photos, np.flatnonzero(folds != fold), plan)
        logits[folds == fold] = trainer.logits(photos.cut[0, folds == fold])
    better, frozen = correct(logits, known.labels), correct(judged.logits, known.labels)
    chance = mcnemar_one_sided(int((better & ~frozen).sum()), int((frozen & ~better).sum()))
    found = FineTunedStages(
        last_frozen=split.cut,
        epochs=plan.epochs,
        images=len(folds),
        frozen=float(frozen.mean()),
        opened=float(better.mean()),
        p_value=chance,
        kept=chance < MOST_CHANCE,
    )
    if not found.kept:
        trainer.tail.set_weights(trainer.pretrained)
        return StagesResult(split, found, judged, None)
    trainer.learn(photos, np.arange(len(folds)), plan)
    better_judged = replace(
        judged,
        logits=logits,
        accuracy=found.opened,
        folds=count,
        repeats=1,
        curve=(*judged.curve[:-1], (judged.curve[-1][0], found.opened)),
        temperature=out_of_fold_temperature(logits, known.labels, folds),
    )
    return StagesResult(split, found, better_judged, trainer)
