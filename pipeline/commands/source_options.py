"""The options that describe a Keras model: its classes, its output and its preprocessing."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.photo_options import FILTER_HELP, add_reading
from pipeline.data.class_list import read_class_list
from pipeline.data.class_names import say_repeated
from pipeline.errors import ExportError
from pipeline.system.file_checks import check_code
from runtime.spec import NO_ANTIALIAS, RESIZE_FILTERS, RESIZE_POLICIES

if TYPE_CHECKING:
    from pipeline.export.load.model import Source
    from pipeline.export.load.scaling import PixelScaling


NUMBERS = ("scale", "offset", "mean", "std")


def add(parser: argparse.ArgumentParser) -> None:
    """Register the options on classes, output, scaling and resize, for a model whose file does not state them."""
    group = parser.add_argument_group(
        "what the model expects",
        "The model is fed ((pixel * scale + offset) - mean) / std of pixels 0 to 255; give one number for all channels "
        "or three. Without any of these it is fed 0 to 1, or, if it scales pixels itself, 0 to 255.",
    )
    group.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="class names, one per line (default: those in its history.json); for a model with one output value, the "
        "names of 0 and of 1, or the name of 1 alone",
    )
    group.add_argument("--output", metavar="NAME", help="the output with the classes, if the model has several outputs")
    group.add_argument(
        "--multi-label", action="store_true",
        help="each logit judges one label by itself (trained with BinaryCrossentropy(from_logits=True)); a model that "
        "ends in a sigmoid for each label does not need this option",
    )  # fmt: skip
    group.add_argument(
        "--height", type=int, metavar="PIXELS", help="height of the images, for a model that takes any size"
    )
    group.add_argument("--width", type=int, metavar="PIXELS", help="width of the images (default: the height)")
    add_trust(parser)
    group.add_argument("--scale", type=_number, nargs="+", metavar="X", help="default: 1/255")
    group.add_argument("--offset", type=_number, nargs="+", metavar="X", help="default: 0")
    group.add_argument("--mean", type=_number, nargs="+", metavar="X", help="default: 0")
    group.add_argument("--std", type=_number, nargs="+", metavar="X", help="default: 1")
    group.add_argument(
        "--preset",
        choices=("tf", "torch", "caffe", "none"),
        help="scale as preprocess_input of keras.applications does: tf to -1..1; torch by ImageNet's mean and "
        "standard deviation; caffe BGR minus ImageNet's mean; none: 0 to 255",
    )
    group.add_argument(
        "--bgr",
        action=argparse.BooleanOptionalAction,
        help="the model takes channels in the order blue, green, red, as OpenCV reads them; the three numbers of the "
        "options above are then in this order (default: red, green, blue)",
    )
    group = parser.add_argument_group(
        "how photos become images of the model's size",
        "Give what the training used; for a model of python -m pipeline train, its history.json states it.",
    )
    group.add_argument(
        "--resize", choices=RESIZE_POLICIES, help="stretch, crop or pad the photo to that size (default: stretch)"
    )
    group.add_argument(
        "--filter",
        choices=RESIZE_FILTERS,
        help=f"{FILTER_HELP}; keras.utils.image_dataset_from_directory and tf.image.resize use {NO_ANTIALIAS}",
    )
    add_reading(group)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Register ``--trust-code``, which runs code of the user."""
    parser.add_argument(
        "--trust-code", type=Path, metavar="FILE.py",
        help="run this Python file, which defines the model's custom layers; a model file contains no code",
    )  # fmt: skip


def _number(text: str) -> float:
    """Parse a number or a fraction such as 1/255."""
    dividend, _, divisor = text.partition("/")
    try:
        return float(dividend) / float(divisor or 1)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"expected a number such as 0.5 or 1/255, got {text!r}") from error


def source(options: argparse.Namespace) -> "Source":
    """Build the description of the model from the options.

    Raises:
        ExportError: the list of classes cannot be read, options contradict each other, or the numbers are no scaling.
    """
    from pipeline.export.load.model import Source
    from pipeline.export.load.scaling import PRESETS

    check(options)
    names, preset = read_class_list(options.classes) if options.classes else None, PRESETS.get(options.preset)
    if repeated := say_repeated(names or ()):
        print(f"{options.classes}: {repeated}", file=sys.stderr)
    return Source(
        options.model,
        names,
        _scaling(options),
        resize=options.resize,
        resize_filter=options.filter,
        output=options.output,
        multi_label=options.multi_label,
        size=_size(options),
        fill=options.fill,
        ignore_orientation=options.ignore_orientation,
        names_from=options.classes,
        bgr=preset.bgr if preset and options.bgr is None else options.bgr,
    )


def check(options: argparse.Namespace) -> None:
    """Refuse options that are unusable for any model; needs no TensorFlow.

    Raises:
        ExportError: the list of classes cannot be read, the file of ``--trust-code`` is missing, or options contradict
            each other.
    """
    if options.classes:
        read_class_list(options.classes)
    if options.trust_code:
        check_code(options.trust_code)
    if options.width and not options.height:
        raise ExportError(f"--width {options.width} needs --height PIXELS: give both")
    if options.preset and (given := _numbers(options)):
        raise ExportError(f"--preset {options.preset} sets --{', --'.join(given)}, too: give one or the other")


def _size(options: argparse.Namespace) -> tuple[int, int] | None:
    return (options.height, options.width or options.height) if options.height else None


def _scaling(options: argparse.Namespace) -> "PixelScaling | None":
    from pipeline.export.load.scaling import PRESETS, PixelScaling

    if options.preset:
        return PRESETS[options.preset]
    given: dict[str, Any] = {name: tuple(getattr(options, name)) for name in _numbers(options)}
    return PixelScaling.of(**given, bgr=bool(options.bgr)) if given else None


def _numbers(options: argparse.Namespace) -> list[str]:
    return [name for name in NUMBERS if getattr(options, name)]
