"""The topologies, each a function from image to class scores, and the presets that name them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from keras import layers

from pipeline.models.units import Convolution, Tensor, Units

HIDDEN_UNITS = 500


def notes(units: Units, image: Tensor, class_count: int) -> Tensor:
    """Build the CNN of the course notes: three 2x2 convolutions, each pooled by 2, then 500 hidden units."""
    x = image
    for index, filters in enumerate((16, 32, 64), start=1):
        x = units.pooled_conv(x, f"conv{index}", Convolution(filters, 2))
    x = units.dropout(layers.Flatten(name="flatten")(x))
    x = units.dropout(units.dense(x, "hidden", HIDDEN_UNITS))
    return units.classify(x, "classes", class_count)


def resnet8(units: Units, image: Tensor, class_count: int) -> Tensor:
    """Build MLPerf Tiny's image classifier (Banbury et al., 2021): three residual blocks (He et al., 2016).

    Each block is two 3x3 convolutions. From the second on it halves the image with a stride and doubles the channels;
    a 1x1 convolution fits the shortcut.
    """
    x = units.conv(image, "stem", Convolution(16, 3))
    for stack, filters in enumerate((16, 32, 64), start=1):
        name, strides = f"stack{stack}", 1 if stack == 1 else 2
        y = units.conv(x, f"{name}_conv1", Convolution(filters, 3, strides))
        y = units.conv(y, f"{name}_conv2", Convolution(filters, 3, relu=False))
        shortcut = x
        if strides > 1:
            shortcut = units.conv(x, f"{name}_shortcut", Convolution(filters, 1, strides, relu=False))
        x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, y]))
    x = units.dropout(layers.GlobalAveragePooling2D(name="pool")(x))
    return units.classify(x, "classes", class_count)


def vgg(units: Units, image: Tensor, class_count: int, *, widths: tuple[int, int, int]) -> Tensor:
    """Stack 3x3 convolutions (Simonyan and Zisserman, 2015): a stem, then two of each width, pooled after the first.

    Few wide layers use a processor better than the many narrow layers of a ResNet with as many parameters. Pooling
    early, before the number of channels grows, follows K. Jordan's networks for fast training on CIFAR-10 (2024).
    """
    x = units.conv(image, "stem", Convolution(widths[0] // 2, 3))
    for stack, filters in enumerate(widths, start=1):
        x = units.pooled_conv(x, f"stack{stack}_conv1", Convolution(filters, 3))
        x = units.conv(x, f"stack{stack}_conv2", Convolution(filters, 3))
    x = units.dropout(layers.GlobalAveragePooling2D(name="pool")(x))
    return units.classify(x, "classes", class_count)


def separable(units: Units, image: Tensor, class_count: int, *, widths: tuple[int, int, int, int]) -> Tensor:
    """Alternate depthwise and 1x1 convolutions (Howard et al., 2017): a stem, then three residual blocks.

    Each block halves the image with its first depthwise convolution; its second pair of convolutions is residual.
    """
    x = units.conv(image, "stem", Convolution(widths[0], 3))
    for stack, filters in enumerate(widths[1:], start=1):
        name = f"stack{stack}"
        x = units.conv(x, f"{name}_depthwise1", Convolution(x.shape[-1], 3, strides=2, depthwise=True))
        x = units.conv(x, f"{name}_conv1", Convolution(filters, 1))
        y = units.conv(x, f"{name}_depthwise2", Convolution(filters, 3, depthwise=True))
        y = units.conv(y, f"{name}_conv2", Convolution(filters, 1, relu=False))
        x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
    x = units.dropout(layers.GlobalAveragePooling2D(name="pool")(x))
    return units.classify(x, "classes", class_count)


@dataclass(frozen=True)
class Preset:
    """A named network.

    Attributes:
        topology: builds the class scores (N, C) from units, image (N, H, W, 3) and number of classes.
        reduction: height and width of the image must be multiples of this.
        purpose: a few words on its use.
        one_side: whether its weights depend on the image's size; not so with global average pooling.
    """

    topology: Callable[[Units, Tensor, int], Tensor]
    reduction: int
    purpose: str
    one_side: bool = False


PRESETS = {
    "notes": Preset(notes, 8, "the network of the course notes", one_side=True),
    "resnet8": Preset(resnet8, 4, "MLPerf Tiny image classification"),
    "vgg8": Preset(partial(vgg, widths=(32, 128, 128)), 8, "wide and shallow, to pass 91 %"),
    "separable": Preset(
        partial(separable, widths=(16, 48, 80, 192)), 8, "depthwise, for boards that count every multiply-accumulate"
    ),
    "teacher": Preset(
        partial(vgg, widths=(64, 256, 256)), 8, "twice as wide; teaches the others, too large for small boards"
    ),
}
