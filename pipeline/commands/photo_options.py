"""The options that set how a folder of the user's photos is read, and the functions that read it accordingly."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.commands import earlier_options
from pipeline.data import label_table, unlabeled
from pipeline.data.folder import Photos, format_skipped, load
from pipeline.data.photo_settings import READING, Settings, settings_for
from pipeline.data.seen import photos_to_judge
from pipeline.documents.history import read_history
from pipeline.errors import DataError
from runtime.photo_files import HEIC, tally
from runtime.spec import NO_ANTIALIAS, RESIZE_FILTERS, RESIZE_POLICIES
from runtime.text import plural, say

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.export.load.deployable import Deployable
    from pipeline.export.load.model import Source

NAMED = {"black": "0,0,0", "white": "255,255,255", "gray": "128,128,128"}
FILTER_HELP = f"resize filter; all but {NO_ANTIALIAS} use every pixel of the photo (default: bilinear)"


def add(parser: argparse.ArgumentParser) -> None:
    """Register the options; the two that most people need come first in the help."""
    default = Settings()
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="a folder of photos for each class, or train/ and val/ (and test/) with these in them",
    )  # fmt: skip
    parser.add_argument(
        "--skip-bad", action=argparse.BooleanOptionalAction, help="leave out photos that cannot be read, and list them"
    )
    group = parser.add_argument_group("own photos")
    group.add_argument(
        "--side",
        type=int,
        metavar="N",
        help=f"height and width in pixels, 8 to 1,024 (default: {default.side}; 224 for pretrained networks)",
    )
    group.add_argument(
        "--height", type=int, metavar="PIXELS", help="height of images that are not square, instead of --side"
    )
    group.add_argument(
        "--width", type=int, metavar="PIXELS", help="width of such images; only for networks trained from scratch"
    )
    group.add_argument(
        "--none",
        type=Path,
        metavar="DIR",
        help="photos that show none of the classes; they become one more class, named none",
    )
    group.add_argument("--any-side", action="store_true", help="allow a side that is not a power of two")
    group.add_argument(
        "--resize",
        choices=RESIZE_POLICIES,
        default=default.resize,
        help="stretch the photo to the images' height and width, crop its middle, or pad it with --fill (default: "
        "stretch)",
    )
    group.add_argument("--filter", choices=RESIZE_FILTERS, default=default.resize_filter, help=FILTER_HELP)
    add_reading(group)
    group.add_argument(
        "--validation-share", type=float, default=default.validation_share, metavar="X",
        help="share of each class for validation, if there is no val/ folder (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--test-share", type=float, default=default.test_share, metavar="X",
        help="share of each class for the final test, if there is no test/ folder (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--split-seed",
        type=int,
        metavar="N",
        default=default.seed,
        help="seed of the division into these parts (default: %(default)s)",
    )


def add_reading(group: argparse._ArgumentGroup) -> None:
    """Register ``--fill`` and ``--ignore-orientation``."""
    group.add_argument(
        "--fill",
        type=_color,
        metavar="COLOR",
        help="color of the letterbox and behind transparent parts: black, white or R,G,B from 0 to 255 (default: "
        "white); Keras's pad_to_aspect_ratio and tf.image.resize_with_pad take black",
    )
    group.add_argument(
        "--ignore-orientation",
        action=argparse.BooleanOptionalAction,
        help="ignore the EXIF orientation of photos, as Keras, tf.image and PIL do (default: turn photos upright)",
    )


def _color(text: str) -> tuple[int, int, int]:
    """Parse a color's name or its ``R,G,B`` numbers, 0-255."""
    try:
        red, green, blue = map(int, NAMED.get(text, text).split(","))
    except ValueError:
        red = green = blue = -1
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise argparse.ArgumentTypeError(f"expected black, white or three numbers such as 255,255,255, got {text!r}")
    return red, green, blue


def settings(options: argparse.Namespace) -> Settings:
    """Build the photo settings from the options.

    Raises:
        DataError: only one of ``--height`` and ``--width``, or ``--side`` beside them.
    """
    default = Settings()
    height, width = _size(options)
    return Settings(
        side=default.side if height is None else height,
        width=width,
        any_side=options.any_side,
        resize=options.resize,
        resize_filter=options.filter,
        fill=options.fill or default.fill,
        ignore_orientation=bool(options.ignore_orientation),
        validation_share=options.validation_share,
        test_share=options.test_share,
        seed=options.split_seed,
        skip_bad=bool(options.skip_bad),
        none=str(options.none.resolve()) if options.none else "",
    )


def _size(options: argparse.Namespace) -> tuple[int | None, int | None]:
    """Return the height, or ``None`` if not given, and the width, or ``None`` if it equals the height."""
    if (options.height is None) != (options.width is None):
        raise DataError("--height and --width go together; for squares give --side")
    if options.height is None:
        return options.side, None
    if options.side is not None:
        raise DataError(f"--side {options.side} is height and width of squares: leave it out, or --height and --width")
    return options.height, None if options.width == options.height else options.width


def read(folder: Path, photo_settings: Settings, known: tuple[str, ...] | None = None) -> Photos:
    """Load a folder of photos and print on stderr what it holds; the arguments are those of ``load``."""
    say(f"{folder}: reading the photos")
    return _reported(load(folder, photo_settings, known))


def _reported(photos: Photos) -> Photos:
    report_parts(photos)
    if photos.hint:
        print(photos.hint, file=sys.stderr)
    return photos


def report_parts(photos: Photos) -> None:
    """Print on stderr how many photos each part has."""
    parts = {"training": photos.training, "validation": photos.validation, "test": photos.test}
    if photos.is_test_only:
        parts = {"test": photos.test}
    counts = ", ".join(f"{len(images):,} for {name}" for name, images in parts.items() if images is not None)
    print(f"{photos.folder}: {plural(len(photos.training.class_names), 'class')}; {counts}", file=sys.stderr)


def add_data(parser: argparse.ArgumentParser, help_text: str, *, exported: bool = False) -> None:
    """Register the options of a command that takes photos and a model, or with ``exported`` a folder of export."""
    default = "(default: the folder that the model was trained on, or CIFAR-10)"
    parser.add_argument("--data", type=Path, metavar="DIR", help=f"{help_text} {default}")
    parser.add_argument(
        "--skip-bad",
        action=argparse.BooleanOptionalAction,
        help="leave out photos that cannot be read, and list them (default: as in training"
        f"{', or as in export with the same photos' * exported})",
    )


def folder_of(options: argparse.Namespace, model_path: Path) -> Path | None:
    """Return ``--data``, else the folder that the model was trained on if it still exists, else ``None``."""
    if options.data:
        return Path(options.data)
    history = read_history(model_path)
    if history is None or history.data is None or not Path(history.data).is_dir():
        return None
    print(f"{history.data}: the photos that {model_path} was trained on are used", file=sys.stderr)
    return Path(history.data)


def add_unlabeled(parser: argparse.ArgumentParser, flag: str, use: str) -> None:
    """Register the option ``flag``, which names photos without labels; ``use`` says in its help what they are for."""
    parser.add_argument(
        flag, dest="unlabeled", type=Path, metavar="PATH",
        help=f"photos without labels: {use}; a folder, a text file with one path per line, or an .npz of images",
    )  # fmt: skip


def unlabeled_of_export(options: argparse.Namespace, exported: Path) -> "Dataset | None":
    """Load the photos without labels for the model in a folder that export wrote; ``None`` if none are given."""
    if not options.unlabeled:
        return None
    from pipeline.export.load.model import load_exported

    deployable = load_exported(exported)
    photo_settings = _settings_of_export(options, exported, deployable, options.unlabeled)
    return unlabeled.load(options.unlabeled, photo_settings, deployable.class_names)


def settings_of_source(options: argparse.Namespace, deployable: "Deployable", source: "Source") -> Settings:
    """Build the settings with which photos are read for a model file."""
    return settings_for(
        source.path, deployable.side, width=deployable.width, skip_bad=options.skip_bad, **source.reading
    )


def of_source(options: argparse.Namespace, folder: Path, deployable: "Deployable", source: "Source") -> Photos:
    """Load a folder of photos for a model file."""
    return _reported(_of_model(folder, deployable, settings_of_source(options, deployable, source)))


def of_export(options: argparse.Namespace, exported: Path) -> Photos | None:
    """Load the photos for the model in a folder that export wrote; ``None`` if CIFAR-10 is to be used.

    All photos of a folder that is not divided into parts, and that neither training nor export read, are for test.
    """
    model_path = exported / artifacts.MODEL_KERAS
    folder = folder_of(options, model_path)
    if folder is None:
        return None
    from pipeline.export.load.model import load_exported

    deployable = load_exported(exported)
    photos = _of_model(folder, deployable, _settings_of_export(options, exported, deployable, folder))
    return _reported(photos_to_judge(photos, exported))


def _settings_of_export(
    options: argparse.Namespace, exported: Path, deployable: "Deployable", source: Path
) -> Settings:
    from pipeline.documents.manifest import Manifest

    manifest = Manifest.read(exported)
    stated = manifest.photos
    return settings_for(
        exported / artifacts.MODEL_KERAS,
        deployable.side,
        width=deployable.width,
        skip_bad=earlier_options.skip_bad_of_export(options, manifest, source),
        **({name: getattr(stated, name) for name in READING} if stated else {}),
    )


def evaluation_images(photos: Photos | None) -> "tuple[Dataset | None, str]":
    """Choose the images to judge on: the test photos, or the validation photos if there are none (said on stderr).

    Returns:
        The images, ``None`` for CIFAR-10's test images, and their part: "test" or "validation".
    """
    if photos is None:
        return None, "test"
    if photos.test is None:
        count = plural(len(photos.validation), "validation photo")
        say(f"{photos.folder}: no test photos; judging on the {count}; to judge on others, put them into test/")
        return photos.validation, "validation"
    return photos.test, "test"


def report_skipped(photos: Photos | None) -> None:
    """Print which files of the folder were not read, if any."""
    if photos and photos.skipped:
        sentences = [tally(photos.skipped), format_skipped(left for left in photos.skipped if left.kind != HEIC)]
        print("\n".join(filter(None, sentences)))


def _of_model(folder: Path, deployable: "Deployable", photo_settings: Settings) -> Photos:
    """Load photos with the model's preprocessing, labeled in the order of its classes.

    A multi-label model takes its labels from the folder's table, if there is one.

    Raises:
        DataError: the table gives photos several labels, and the model's classes exclude each other.
    """
    say(f"{folder}: reading the photos")
    if deployable.output == "logits" and label_table.is_all(folder, deployable.class_names):
        raise DataError(
            f"{folder}: {label_table.TABLE} gives photos several labels, but the model's logits are taken for classes "
            "that exclude each other; if each logit judges one label by itself, give --multi-label"
        )
    if deployable.multi_label and label_table.has_table(folder):
        return label_table.load(folder, photo_settings, deployable.class_names)
    return load(folder, photo_settings, deployable.class_names)
