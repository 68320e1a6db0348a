"""Channels that are quantized together are those that ONNX Runtime quantizes one by one."""

import keras
import numpy as np
import pytest
from keras import layers
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from pipeline.export.load.deployable import Deployable
from pipeline.export.quantize import onnx_int8
from pipeline.export.quantize.config import QuantConfig
from quantized import NAMES, SIDE, quantizer_of

CONFIGS = {
    "default": {},
    "per tensor": {"per_channel": False},
    "7 bits": {"reduce_range": True},
    "symmetric": {"symmetric": True},
    "int8 softmax": {"float_softmax": False},
    "float head": {"float_head": True},
}


@pytest.fixture(scope="module")
def quantizer():
    """Of a network with an empty channel, one of tiny weights under a large bias, and weights half between steps."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Conv2D(8, 3, groups=4),
            layers.GlobalAveragePooling2D(),
            layers.Dense(16, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 0], kernel[..., 1], bias[1] = 0, 1e-12, 1.0
    kernel[..., 2] = np.linspace(-1, 1, 255)[np.arange(27) * 9].reshape(3, 3, 3) + 1 / 254
    model.layers[0].set_weights([kernel, bias])
    return quantizer_of("onnx", Deployable(model, NAMES))[0]


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_graph_is_the_one_of_onnx_runtime(kind, quantizer, monkeypatch):
    config = QuantConfig(images=100, **CONFIGS[kind])
    ours = quantizer.build(config)
    monkeypatch.setattr(onnx_int8, "ChannelsTogether", QDQQuantizer)
    assert ours.SerializeToString(deterministic=True) == quantizer.build(config).SerializeToString(deterministic=True)
