"""Measure the rounding error of Keras's float32 answers, which limits the parity that a float32 file can have.

Engines add in different orders, so each float32 file rounds differently from Keras, and the error in the probabilities
grows with the number and width of the layers. Evaluating the same weights in float64 measures this error for a given
network and given images.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.export.load.deployable import Deployable
from pipeline.export.load.dtype import in_dtype
from pipeline.metrics.difference import max_difference

BATCH = 8


def exact_probabilities(deployable: Deployable, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute probabilities of the reference in float64, (N, C), for pixels, uint8 (N, H, W, 3)."""
    model = in_dtype(deployable.model, "float64")
    scale, offset = np.array(deployable.scaling.scale), np.array(deployable.scaling.offset)
    channels = slice(None, None, -1 if deployable.scaling.bgr else 1)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    answers = np.concatenate(
        [np.asarray(model((batch * scale + offset)[..., channels], training=False)) for batch in batches]
    )
    if deployable.multi_label:
        return answers
    if deployable.ends_in_softmax:
        if deployable.temperature == 1:
            return answers
        answers = np.log(np.maximum(answers, np.finfo(np.float64).tiny))
    powers = np.exp((answers - answers.max(axis=1, keepdims=True)) / deployable.temperature)
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def rounding(deployable: Deployable, pixels: NDArray[np.uint8]) -> float:
    """Return the largest absolute difference between Keras's probabilities in float32 and in float64."""
    exact = exact_probabilities(deployable, pixels)
    return max_difference(deployable.probabilities(pixels), exact)
