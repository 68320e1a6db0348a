"""Unroll recurrent layers, because the converters cannot read their loops."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def unrolled(network: keras.Model) -> Iterator[None]:
    """Unroll all recurrent layers of a network while it is traced.

    tf2onnx cannot read the loops into which TensorFlow otherwise compiles them, and TFLite's calibrator crashes the
    process on the fused operator into which its converter turns such a loop.
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
