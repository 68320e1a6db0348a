"""Judge a model's preprocessing without labels, by the mutual information of image and class.

With the preprocessing of its training, a model is confident about single images, and different images get different
classes. Confidence alone misleads, because larger input values make every network more confident. The measure is by how
much the entropy of the mean answer exceeds the mean entropy of the answers. It gives a hint, not a proof. It does not
work for multi-label models: with too large inputs their sigmoids saturate, and every image gets other labels.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import softmax
from pipeline.verify.input_contract.preprocessing import Preprocessing
from runtime.spec import ModelSpec
from runtime.text import plural

MAX_IMAGES = 64
MUCH = 0.5
"""Another preprocessing must have this much more mutual information, in nats, to be hinted at."""

Probabilities = NDArray[np.floating]


def hint(deployable: Deployable, images: Dataset, spec: ModelSpec) -> str:
    """Return a hint if another value range or channel order has much more mutual information, else an empty text."""
    asked = Preprocessing(deployable.scaling, spec)
    count = min(MAX_IMAGES, len(images))
    pixels = images.pixels[np.arange(count) * len(images) // count]
    model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
    answers = {}
    for candidate in (asked, *asked.ranges()):
        scores = np.asarray(model(candidate.scaling(pixels), training=False), np.float64)
        answers[candidate.flags(asked)] = (
            scores if deployable.ends_in_softmax else np.asarray(softmax(scores), np.float64)
        )
    best = max(answers, key=lambda flags: information(answers[flags]))
    if information(answers[best]) < information(answers[""]) + MUCH:
        return ""
    return (
        f"hint: {_described(answers[''])} as it is fed, {_described(answers[best])} with {best}; "
        "labeled photos would tell which is right"
    )


def information(probabilities: Probabilities) -> float:
    """Return the mutual information of image and class in nats; probabilities float (N, C), rows sum to 1."""
    return _entropy(probabilities.mean(axis=0)) - float(np.mean([_entropy(row) for row in probabilities]))


def _entropy(shares: Probabilities) -> float:
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())


def _described(probabilities: Probabilities) -> str:
    count, entropy = len(set(probabilities.argmax(axis=1).tolist())), np.mean([_entropy(row) for row in probabilities])
    sure = f"mean confidence {probabilities.max(axis=1).mean():.0%}, entropy {entropy:.2f} nats"
    return f"the Keras model names {plural(count, 'class')} ({sure})"
