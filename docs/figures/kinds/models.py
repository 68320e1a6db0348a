"""Forty kinds of classifier, each built by a few lines of Keras, as people build them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers as kl

CLASSES = 4
SIDE = 32


@dataclass(frozen=True)
class Kind:
    """A kind of classifier.

    Attributes:
        name: its name in the table.
        build: builds the model, not compiled.
        height, width: of its images in pixels.
        gray: whether it takes one channel.
        two: whether it distinguishes two classes by one output value.
        several: whether it is multi-label.
        outside: whether it takes pixels 0-255 instead of 0-1.
        policy: Keras's dtype policy. Plain half precision is used only for saving: Adam's steps underflow in training.
        logits: whether it gives logits instead of probabilities.
        outputs: names of its outputs, if it has several.
        rate: learning rate.
        options: options of export besides photos, filter and class names.
        epochs: at most this many epochs of training.
    """

    name: str
    build: Callable[["Kind"], keras.Model]
    height: int = 32
    width: int = 32
    gray: bool = False
    two: bool = False
    several: bool = False
    outside: bool = False
    policy: str = "float32"
    logits: bool = False
    outputs: tuple[str, ...] = ()
    rate: float = 3e-3
    options: tuple[str, ...] = ()
    epochs: int = 30

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (H, W, C) of one image."""
        return (self.height, self.width, 1 if self.gray else 3)


def chain(*middle: Any, head: Sequence[Any] | None = None, stem: Sequence[Any] = ()) -> Callable[[Kind], keras.Model]:
    """Build models of a convolution, some layers and a pooled head; layers are given as functions that make them."""

    def build(kind: Kind) -> keras.Model:
        end = head if head is not None else (lambda: kl.Dense(CLASSES, "softmax"),)
        begin = [kl.Conv2D(16, 3, strides=2, padding="same", activation="relu")]
        made = [layer() for layer in (*stem,)] + begin + [layer() for layer in middle]
        return keras.Sequential([keras.Input(kind.shape), *made, kl.GlobalMaxPooling2D(), *(layer() for layer in end)])

    return build


def conv(**options: Any) -> Callable[[], Any]:
    """Make a convolution with unusual options."""
    return lambda: kl.Conv2D(16, 3, padding="same", **options)


def activated(*layer: Callable[[], Any]) -> Callable[[Kind], keras.Model]:
    """Build models with an activation between two convolutions."""
    return chain(conv(), *layer, conv(activation="relu"))


def two_outputs(kind: Kind) -> keras.Model:
    """Build a classifier with a second head, as in tutorials on several tasks."""
    image = keras.Input(kind.shape)
    x = kl.GlobalMaxPooling2D()(kl.Conv2D(16, 3, strides=2, activation="relu")(image))
    x = kl.Dense(16, "relu")(x)
    return keras.Model(image, [kl.Dense(CLASSES, "softmax", name="fruit")(x), kl.Dense(1, name="weight")(x)])


def vision_transformer(kind: Kind) -> keras.Model:
    """Build a transformer: patches of 8 pixels, two heads of attention, one block."""
    image = keras.Input(kind.shape)
    x = kl.Conv2D(24, 8, strides=8)(image)
    x = kl.Reshape((x.shape[1] * x.shape[2], 24))(x)
    y = kl.LayerNormalization(epsilon=1e-6)(x)
    x = kl.Add()([x, kl.MultiHeadAttention(2, 12)(y, y)])
    y = kl.LayerNormalization(epsilon=1e-6)(x)
    x = kl.Add()([x, kl.Dense(24)(kl.Dense(48, "gelu")(y))])
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(kl.GlobalAveragePooling1D()(x)))


def convnext(kind: Kind) -> keras.Model:
    """Build one block as ``keras.applications.ConvNeXt`` does, with layer scale and drop path."""
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    image = keras.Input(kind.shape)
    x = kl.LayerNormalization(epsilon=1e-6)(kl.Conv2D(16, 4, strides=4)(image))
    y = kl.LayerNormalization(epsilon=1e-6)(kl.Conv2D(16, 7, padding="same", groups=16)(x))
    y = kl.Dense(16)(kl.Activation("gelu")(kl.Dense(64)(y)))
    x = kl.Add()([x, StochasticDepth(0.1)(LayerScale(1.0, 16)(y))])
    x = kl.LayerNormalization(epsilon=1e-6)(kl.GlobalMaxPooling2D()(x))
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(x))


def squeeze_excitation(kind: Kind) -> keras.Model:
    """Build a squeeze-and-excitation block: channels are weighted by a function of their means."""
    image = keras.Input(kind.shape)
    x = kl.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)
    weight = kl.GlobalAveragePooling2D(keepdims=True)(x)
    weight = kl.Dense(16, "sigmoid")(kl.Dense(4, "silu")(weight))
    x = kl.Conv2D(16, 3, activation="relu")(kl.Multiply()([x, weight]))
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(kl.GlobalMaxPooling2D()(x)))


def recurrent(layer: Callable[[], Any]) -> Callable[[Kind], keras.Model]:
    """Build models that read the rows of the image as a sequence."""

    def build(kind: Kind) -> keras.Model:
        rows = [kl.AveragePooling2D((4, 2)), kl.Reshape((kind.height // 4, -1))]
        return keras.Sequential([keras.Input(kind.shape), *rows, layer(), kl.Dense(CLASSES, "softmax")])

    return build


def residual(kind: Kind) -> keras.Model:
    """Build a block with batch normalization and a shortcut."""
    image = keras.Input(kind.shape)
    x = kl.ReLU()(kl.BatchNormalization(momentum=0.8)(kl.Conv2D(16, 3, strides=2, use_bias=False)(image)))
    y = kl.BatchNormalization(momentum=0.8)(kl.Conv2D(16, 3, padding="same", use_bias=False)(x))
    x = kl.ReLU()(kl.Add()([x, y]))
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(kl.GlobalMaxPooling2D()(x)))


def nested(kind: Kind) -> keras.Model:
    """Build a model nested in another one, as is usual in transfer learning."""
    body = keras.Sequential([keras.Input(kind.shape), kl.Conv2D(16, 3, strides=2, activation="relu"), kl.Conv2D(16, 3)])
    image = keras.Input(kind.shape)
    x = kl.GlobalMaxPooling2D()(body(image))
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(x))


def dense(*head: Callable[[], Any]) -> Callable[[Kind], keras.Model]:
    """Build models of dense layers only."""
    return lambda kind: keras.Sequential(
        [keras.Input(kind.shape), kl.Flatten(), kl.Dense(32, "relu"), *(layer() for layer in head)]
    )


def rows_of_pixels(kind: Kind) -> keras.Model:
    """Build the first model of TensorFlow's tutorials, with input (N, H, W)."""
    layers = [kl.Flatten(), kl.Dense(32, "relu"), kl.Dense(CLASSES)]
    return keras.Sequential([keras.Input((kind.height, kind.width)), *layers, kl.Softmax()])


def pixels_in_a_row(kind: Kind) -> keras.Model:
    """Build dense layers on (N, H * W)."""
    layers = [kl.Dense(32, "relu"), kl.Dense(CLASSES, "softmax")]
    return keras.Sequential([keras.Input((kind.height * kind.width,)), *layers])


def fully_convolutional(kind: Kind) -> keras.Model:
    """Build a model whose output is a 1x1 map: (N, 1, 1, C)."""
    image = keras.Input(kind.shape)
    x = kl.Conv2D(16, 3, strides=2, activation="relu")(image)
    x = kl.GlobalMaxPooling2D(keepdims=True)(x)
    return keras.Model(image, kl.Conv2D(CLASSES, 1, activation="softmax")(x))


def conv_over_rows() -> keras.Model:
    """Build a one-dimensional convolution over rows, as text networks use it over words."""
    return keras.Sequential([kl.Conv1D(16, 3, activation="relu"), kl.GlobalMaxPooling1D()])


def unknown_operator(kind: Kind) -> keras.Model:
    """Use a function of ``keras.ops`` that neither ONNX nor TensorFlow Lite has."""
    image = keras.Input(kind.shape)
    x = kl.Conv2D(16, 3, strides=2, activation="tanh")(image)
    x = kl.GlobalMaxPooling2D()(keras.ops.erfinv(0.9 * x))
    return keras.Model(image, kl.Dense(CLASSES, "softmax")(x))


def named(activation: str) -> Callable[[], Any]:
    """Make an activation by its name."""
    return lambda: kl.Activation(activation)


LOGITS, LOGIT = lambda: kl.Dense(CLASSES), lambda: kl.Dense(1)
SOFTMAX, SIGMOID = lambda: kl.Dense(CLASSES, "softmax"), lambda: kl.Dense(1, "sigmoid")
SIGMOIDS = lambda: kl.Dense(CLASSES, "sigmoid")  # noqa: E731
FLOAT32_SOFTMAX = lambda: kl.Activation("softmax", dtype="float32")  # noqa: E731
AUGMENTED = (lambda: kl.RandomContrast(0.1), lambda: kl.Rescaling(1 / 255))

KINDS = (
    Kind("softmax in the last dense layer", chain()),
    Kind("logits", chain(head=[LOGITS]), logits=True),
    Kind("Softmax layer", chain(head=[LOGITS, kl.Softmax])),
    Kind("Activation layer, softmax", chain(head=[LOGITS, lambda: kl.Activation("softmax")])),
    Kind("temperature before the softmax", chain(head=[LOGITS, lambda: kl.Rescaling(1 / 2.5), kl.Softmax])),
    Kind("log-softmax", chain(head=[LOGITS, lambda: kl.Activation("log_softmax")]), logits=True),
    Kind("one sigmoid", chain(head=[SIGMOID]), two=True),
    Kind("one logit", chain(head=[LOGIT]), two=True, logits=True),
    Kind("one sigmoid in a layer of its own", chain(head=[LOGIT, lambda: kl.Activation("sigmoid")]), two=True),
    Kind("two outputs", two_outputs, outputs=("fruit", "weight"), options=("--output", "fruit")),
    Kind("gray", chain(), gray=True),
    Kind("gray, scales itself", chain(stem=[lambda: kl.Rescaling(1 / 255)]), gray=True, outside=True),
    Kind("gray, dense layers alone", dense(SOFTMAX), height=12, width=12, gray=True, rate=1e-3, epochs=60),
    Kind("gray, without an axis of channels", rows_of_pixels, height=12, width=12, gray=True, rate=1e-3, epochs=60),
    Kind("gray, all pixels in a row", pixels_in_a_row, height=12, width=12, gray=True, rate=1e-3, epochs=60),
    Kind("fully convolutional", fully_convolutional),
    Kind("gray, one sigmoid", chain(head=[SIGMOID]), gray=True, two=True),
    Kind("8 pixels", chain(), height=8, width=8),
    Kind("48 x 32 pixels", chain(), width=48),
    Kind("300 pixels", chain(stem=[lambda: kl.AveragePooling2D(4)]), height=300, width=300),
    Kind("augmentation, then scaling", chain(stem=AUGMENTED), outside=True),
    Kind("mixed_float16", chain(head=[LOGITS, FLOAT32_SOFTMAX]), policy="mixed_float16"),
    Kind("mixed_bfloat16", chain(), policy="mixed_bfloat16"),
    Kind("bfloat16", chain(), policy="bfloat16"),
    Kind("float64", chain(), policy="float64"),
    Kind("grouped convolution", chain(conv(groups=4, activation="relu"))),
    Kind("dilated convolution", chain(conv(dilation_rate=2, activation="relu"))),
    Kind(
        "depthwise and separable convolution", chain(lambda: kl.DepthwiseConv2D(3), lambda: kl.SeparableConv2D(16, 3))
    ),
    Kind("transposed convolution, upsampling", chain(lambda: kl.Conv2DTranspose(8, 3, strides=2), kl.UpSampling2D)),
    Kind("residual, batch normalization", residual),
    Kind("squeeze-excitation", squeeze_excitation),
    Kind("ConvNeXt block", convnext),
    Kind("small ViT", vision_transformer),
    Kind("LayerNormalization", activated(kl.LayerNormalization)),
    Kind("GroupNormalization", activated(lambda: kl.GroupNormalization(4))),
    Kind("GELU", activated(named("gelu"))),
    Kind("SiLU, mish", activated(named("silu"), named("mish"))),
    Kind("CELU, ELU, SELU", activated(named("celu"), kl.ELU, named("selu"))),
    Kind("PReLU, LeakyReLU", activated(lambda: kl.PReLU(shared_axes=(1, 2)), kl.LeakyReLU)),
    Kind("softplus, tanh", activated(named("softplus"), named("tanh"))),
    Kind("LSTM over rows", recurrent(lambda: kl.LSTM(24))),
    Kind("GRU over rows, both ways", recurrent(lambda: kl.Bidirectional(kl.GRU(12)))),
    Kind("Conv1D over rows", recurrent(conv_over_rows)),
    Kind("a network in a network", nested),
    Kind("an operator that no format has", unknown_operator),
    Kind("several sigmoids, one class a photo", chain(head=[SIGMOIDS])),
    Kind("several sigmoids (multi-label)", chain(conv(activation="relu"), head=[SIGMOIDS]), several=True, epochs=80),
    Kind(
        "several logits (multi-label)",
        chain(conv(activation="relu"), head=[LOGITS]),
        several=True,
        logits=True,
        epochs=80,
        options=("--multi-label",),
    ),
)
