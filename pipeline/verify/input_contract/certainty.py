"""A hint without labels: fed as in training, a model is sure of single images and names many classes.

Certainty alone misleads, for larger values make every network surer. What counts is by how much the answer to one image
is less uncertain than the mean of all answers: the mutual information of image and class. It is no proof. Of a
multi-label model it would be none at all: sigmoids that are fed too large values tell every image from every other.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import softmax
from pipeline.verify.input_contract.ways import Way
from runtime.spec import ModelSpec

MAX_IMAGES = 64
MUCH = 0.5
"""By how many nats another way must tell more."""

Probabilities = NDArray[np.floating]


def hint(deployable: Deployable, images: Dataset, spec: ModelSpec) -> str:
    """A sentence where another range or order of channels tells images apart much better, else empty."""
    asked = Way(deployable.scaling, spec)
    count = min(MAX_IMAGES, len(images))
    pixels = images.pixels[np.arange(count) * len(images) // count]
    model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
    answers = {}
    for way in (asked, *asked.ranges()):
        scores = np.asarray(model(way.scaling(pixels), training=False), np.float64)
        answers[way.flags(asked)] = scores if deployable.ends_in_softmax else np.asarray(softmax(scores), np.float64)
    best = max(answers, key=lambda flags: information(answers[flags]))
    if information(answers[best]) < information(answers[""]) + MUCH:
        return ""
    return (
        f"hint: {_described(answers[''])} as it is fed, {_described(answers[best])} with {best}; "
        "labeled photos would tell which is right"
    )


def information(probabilities: Probabilities) -> float:
    """Mutual information of image and class in nats: float (N, C), rows sum to 1."""
    return _entropy(probabilities.mean(axis=0)) - float(np.mean([_entropy(row) for row in probabilities]))


def _entropy(shares: Probabilities) -> float:
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())


def _described(probabilities: Probabilities) -> str:
    count, entropy = len(set(probabilities.argmax(axis=1).tolist())), np.mean([_entropy(row) for row in probabilities])
    named = f"{count} class" + "es" * (count > 1)
    sure = f"mean confidence {probabilities.max(axis=1).mean():.0%}, entropy {entropy:.2f} nats"
    return f"the Keras model names {named} ({sure})"
