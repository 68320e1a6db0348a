"""Recurrent layers step by step, as the converters can read them."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def unrolled(network: keras.Model) -> Iterator[None]:
    """Let recurrent layers write one step after the other while a network is traced.

    tf2onnx does not read the loops that TensorFlow makes of them otherwise, and TFLite's calibrator ends the process on
    the fused operator that its converter makes of such a loop.
    """
    flat = network._flatten_layers()  # noqa: SLF001 - no public way to the layers of wrappers
    recurrent = [layer for layer in flat if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    for layer in recurrent:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in recurrent:
            layer.unroll = False
