"""Measure the rounding error of Keras's float32 answers, which bounds the parity that a float32 file can have.

No two engines add in the same order, so that each float32 file rounds differently from Keras, and the more layers and
the wider they are, the more of it reaches the probabilities. The same weights evaluated in float64 say how much that
is in this network, on these images, whatever its depth and width.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.export.load.deployable import Deployable
from pipeline.export.load.dtype import in_dtype
from pipeline.metrics.difference import max_difference

BATCH = 8


def exact_probabilities(deployable: Deployable, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the reference answers when every layer computes in float64: uint8 (N, S, S, 3) to float64 (N, C)."""
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
    """The largest difference of a probability between Keras in float32 and in float64."""
    exact = exact_probabilities(deployable, pixels)
    return max_difference(deployable.probabilities(pixels), exact)
