"""The functions for notebooks; they take a model in memory or a file, and return documents that display as tables.

Called as ``pipeline.export`` etc., they hide the log of TensorFlow and its converters (``pipeline.system.quiet``).
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import artifacts, formats
from pipeline.data import folder, label_table, samples, unlabeled
from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset, hold_out, without_labels
from pipeline.data.label_arrays import as_multi_hot, as_numbers
from pipeline.data.photo_settings import READING, Settings, settings_for
from pipeline.data.seen import digest_of_path, photos_to_judge
from pipeline.documents.display import Page
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import Verification
from pipeline.errors import DataError, ExportError
from pipeline.export import Settings as ExportSettings
from pipeline.export import export as export_files
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import Loaded, Source, load, load_exported
from pipeline.export.load.saved import save
from pipeline.export.load.scaling import PRESETS, PixelScaling
from pipeline.report import report as write_report
from pipeline.verify.input_contract.check import check_input_contract
from pipeline.verify.parity import verify as verify_files
from runtime.image.load import load_pixels

Images = Any
"""A folder of photos (with a folder for each class, or without labels), a text file of paths, an ``.npz`` file,
pixels (N, H, W, 3) from 0 to 255, a pair of pixels and labels, or a ``tf.data.Dataset`` of either."""

MOST_IMAGES = 2_000
"""At most this many images of a ``tf.data.Dataset`` are read."""
HELD_OUT = 0.25


def export(  # noqa: PLR0913 - each is a choice of the person, by name
    model: keras.Model | str | Path,
    out: str | Path,
    *,
    images: Images = None,
    validation: Images = None,
    class_names: Sequence[str] | None = None,
    scaling: str | PixelScaling | None = None,
    bgr: bool | None = None,
    resize: str | None = None,
    resize_filter: str | None = None,
    multi_label: bool = False,
    quick: bool = False,
    extra: Iterable[str] = (),
    as_asked: bool = False,
) -> Manifest:
    """Write the model files of a Keras classifier.

    Args:
        model: in memory, or its file.
        out: folder to write.
        images: calibration images; a part of them is held out for validation if ``validation`` is not given.
            CIFAR-10's by default.
        validation: images on which choices are made.
        class_names: one for each output; by default those of ``images``, of a ``history.json`` beside the file, or
            numbers.
        scaling: of pixels 0-255 to the model's input: a preset (tf, torch, caffe, none) or a ``PixelScaling``; by
            default found in the model's first layers, or 1/255.
        bgr: whether the model takes channels in the order blue, green, red.
        resize: resize policy, as ``--resize``.
        resize_filter: as ``--filter``.
        multi_label: whether each logit judges one label by itself, as ``--multi-label``.
        quick: take the default int8 config without a search.
        extra: further formats, as in ``--formats``.
        as_asked: use the given preprocessing even if labeled images show that another is significantly better.

    Returns:
        The manifest, which displays as a table; ``passed`` is true if int8 meets the acceptance criteria.

    Raises:
        EdgecnnError: the model or the images cannot be used; the message says what to do.
    """
    with _file_of(model) as path:
        names = class_names or getattr(images, "class_names", None) or _numbered(model)
        source = Source(
            path, tuple(names) or None, _scaling(scaling), resize=resize, resize_filter=resize_filter, bgr=bgr,
            multi_label=multi_label,
        )  # fmt: skip
        _restart_names()
        deployable = load(source)
        reading = settings_for(path, deployable.side, width=deployable.width, **source.reading)
        photos = _photos(images, deployable, reading)
        calibration, held_out = _divided(images, photos, deployable, reading) if images is not None else (None, None)
        if validation is not None:
            photos = _photos(validation, deployable, reading)
            held_out = (photos.test or photos.validation) if photos else _dataset(validation, deployable, reading)
        checked = "" if held_out is None else _check(source, deployable, photos, held_out, as_asked=as_asked)
        settings = ExportSettings(quick=quick, files=formats.files_of(extra), photo_folders=_paths(images, validation))
        return export_files(Loaded(source, deployable, checked), Path(out), calibration, held_out, settings)


def verify(out: str | Path, images: Images = None) -> Verification:
    """Compare the model files of a folder with Keras.

    Args:
        out: folder that ``export`` wrote.
        images: images to judge on. Of a folder with class folders, its test photos are used; if there are none, all
            photos if the model has seen none of them, else the validation photos. CIFAR-10's test images by default.

    Returns:
        The verdicts, which display as a table; ``passed`` is true if all files are within their tolerances.

    Raises:
        EdgecnnError: ``export`` did not write the folder, or the images have other classes or another size.
    """
    place = Path(out)
    if images is None:
        return verify_files(place)
    deployable, stated = load_exported(place), Manifest.read(place).photos
    reading: Any = {name: getattr(stated, name) for name in READING} if stated else {}
    photo_settings = settings_for(place / artifacts.MODEL_KERAS, deployable.side, width=deployable.width, **reading)
    judged = _dataset(images, deployable, photo_settings, place)
    return verify_files(place, judged, "given", deployable)


def report(out: str | Path) -> Page:
    """Write ``report.html`` and ``report.md`` into an export folder; return the page, which displays itself.

    Raises:
        EdgecnnError: ``export`` did not write the folder.
    """
    write_report(Path(out))
    path = Path(out) / artifacts.REPORT_PAGE
    return Page(path, path.read_text(encoding="utf-8"))


def _numbered(model: keras.Model | str | Path) -> tuple[str, ...]:
    """Return numbers as class names for a model in memory; none for a file, which may have names beside it."""
    if isinstance(model, str | Path):
        return ()
    return tuple(map(str, range(max(int(model.output_shape[-1]), 2))))


def _check(
    source: Source, deployable: Deployable, photos: folder.Photos | None, images: Dataset, *, as_asked: bool
) -> str:
    """Check the preprocessing with labeled images; return the result for the manifest.

    Raises:
        ExportError: another preprocessing is significantly better, and ``as_asked`` is false.
    """
    finding = check_input_contract(source.path, deployable, source.reading, photos, images)
    if finding is None:
        return ""
    if finding.contradicts(source.asked) and not as_asked:
        raise ExportError(
            f"{finding.sentence}; most likely it was trained so: give that to export (scaling, bgr, resize, "
            "resize_filter, class_names), or as_asked=True"
        )
    return finding.checked


def _scaling(scaling: str | PixelScaling | None) -> PixelScaling | None:
    if not isinstance(scaling, str):
        return scaling
    if scaling not in PRESETS:
        raise ExportError(f"scaling is a PixelScaling or one of {', '.join(PRESETS)}, got {scaling!r:.80}")
    return PRESETS[scaling]


@contextmanager
def _file_of(model: keras.Model | str | Path) -> Iterator[Path]:
    if isinstance(model, str | Path):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / artifacts.MODEL_KERAS
        save(model, path)
        yield path


def _paths(*given: Images) -> tuple[str, ...]:
    return tuple(digest_of_path(Path(each)) for each in given if isinstance(each, str | Path))


def _divided(
    images: Images, photos: folder.Photos | None, deployable: Deployable, photo_settings: Settings
) -> tuple[Dataset, Dataset]:
    """Divide images into calibration and validation set."""
    if photos is not None:
        photos.require_training_photos()
        return samples.draw_calibration(photos.training), photos.validation
    rest, held_out = hold_out(_dataset(images, deployable, photo_settings), HELD_OUT)
    return samples.draw_calibration(rest), held_out


def _dataset(images: Images, deployable: Deployable, photo_settings: Settings, exported: Path | None = None) -> Dataset:
    """Read images; those of a folder judge the model in ``exported``, if that is given."""
    photos = _photos(images, deployable, photo_settings)
    if photos is not None:
        photos = photos_to_judge(photos, exported) if exported else photos
        return photos.test or photos.validation
    if isinstance(images, str | Path):
        return unlabeled.load(Path(images), photo_settings, deployable.class_names)
    pixels, labels = _arrays(images)
    spec = photo_settings.spec(deployable.class_names)
    if pixels.shape[1:3] != deployable.size:
        pixels = np.stack([load_pixels(image, spec) for image in pixels])
    if labels is None:
        return without_labels(pixels, deployable.class_names)
    if deployable.multi_label and labels.ndim == 2:
        return replace(
            without_labels(pixels, deployable.class_names), multi_hot=as_multi_hot(labels, deployable.class_names)
        )
    return Dataset(pixels, as_numbers(labels, deployable.class_names), deployable.class_names)


def _photos(images: Images, deployable: Deployable, photo_settings: Settings) -> folder.Photos | None:
    """Load a folder of labeled photos, divided into parts; ``None`` if ``images`` is not such a folder."""
    if not isinstance(images, str | Path) or not Path(images).is_dir():
        return None
    place = Path(images)
    if deployable.multi_label and label_table.has_table(place):
        return label_table.load(place, photo_settings, deployable.class_names)
    return folder.load(place, photo_settings, deployable.class_names) if _has_classes(place, deployable) else None


def _has_classes(place: Path, deployable: Deployable) -> bool:
    """Return whether a folder contains the folder of a class, or ``train``."""
    names = {entry.name for entry in place.iterdir() if entry.is_dir()}
    return not names.isdisjoint({*class_folders(deployable.class_names), "train"})


def _arrays(images: Images) -> tuple[NDArray[np.uint8], NDArray[Any] | None]:
    if isinstance(images, tf.data.Dataset):
        return _of_tensorflow(images)
    pixels, labels = images if isinstance(images, tuple | list) and len(images) == 2 else (images, None)
    return _pixels(np.asarray(pixels)), None if labels is None else np.asarray(labels)


def _restart_names() -> None:
    """Restart Keras's counters of layer names, which end up in the files, but keep the user's dtype policy."""
    policy = keras.config.dtype_policy()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)


def _of_tensorflow(images: Any) -> tuple[NDArray[np.uint8], NDArray[Any] | None]:
    """Read the first images, and labels if there are any, of a data set of single images or of batches."""
    single = len((images.element_spec[0] if isinstance(images.element_spec, tuple) else images.element_spec).shape) == 3
    pixels: list[NDArray[np.uint8]] = []
    labels: list[NDArray[Any]] = []
    count = 0
    for element in (images.batch(32) if single else images).as_numpy_iterator():
        batch, named = element if isinstance(element, tuple) else (element, None)
        pixels.append(_pixels(batch))
        if named is not None:
            labels.append(named)
        count += len(batch)
        if count >= MOST_IMAGES:
            print(f"the first {MOST_IMAGES:,} images of the tf.data.Dataset are read", file=sys.stderr)
            break
    if not pixels:
        raise DataError("the tf.data.Dataset gives no images")
    return np.concatenate(pixels)[:MOST_IMAGES], np.concatenate(labels)[:MOST_IMAGES] if labels else None


def _pixels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert images to uint8 (N, H, W, 3); floats from 0 to 255 are rounded.

    Raises:
        DataError: the shape or the range of values is another one.
    """
    if images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise DataError(f"expected RGB images (N, H, W, 3), got {images.dtype} {images.shape}")
    if images.dtype == np.uint8:
        return images
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and 1 < high <= 255):
        raise DataError(
            f"expected pixels from 0 to 255, got {images.dtype} from {low:g} to {high:g}; give them unscaled, and the "
            "model's scaling with scaling="
        )
    return np.round(images).astype(np.uint8)
