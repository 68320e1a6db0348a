"""``history.json``: the record of a training, beside the model. It applies only to the model whose SHA-256 it names."""

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from pipeline import artifacts
from pipeline.documents.base import (
    MAX_BYTES,
    Document,
    Entry,
    FiniteOrNone,
    NotNegative,
    Positive,
    PositiveCount,
    Sha256,
    Share,
    named,
)
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.documents.quantize_aware import QuantizeAware
from runtime.system.files import read_regular


class EpochRecord(Entry):
    """One epoch. Accuracy and loss are of the augmented training images, ``val_…`` of the validation images.

    A loss is ``None`` if it was not a finite number.
    """

    epoch: PositiveCount
    seconds: NotNegative
    accuracy: Share
    loss: FiniteOrNone
    val_accuracy: Share
    val_loss: FiniteOrNone
    learning_rate: NotNegative


class ImageCounts(Entry):
    """Numbers of training images, and of validation images, which also chose the best epoch."""

    training: PositiveCount
    validation: PositiveCount


class FineTunedStages(Entry):
    """The result of also training the last stages of a pretrained network.

    Attributes:
        last_frozen: name of the layer after which all layers were trained.
        epochs: passes over the photos.
        images: number of images on which both were judged, out of fold.
        frozen, opened: accuracy (0-1) with only a new last layer, and with the last stages trained, too.
        p_value: of McNemar's one-sided test; the null hypothesis is that ``opened`` is no better.
        kept: whether the network that was written has the trained stages.
    """

    last_frozen: str = named("behind")
    epochs: PositiveCount
    images: PositiveCount
    frozen: Share
    opened: Share
    p_value: Share
    kept: bool


class ComparedNetwork(Entry):
    """One of two networks that are compared: a student or its teacher.

    Attributes:
        model, side: name of the network, and the side of its images in pixels.
        accuracy, images: accuracy (0-1) on validation images that it did not learn from, and their number.
        multiply_accumulates: per image.
        int8_bytes: size of its weights in int8.
        fp32_latency_ms: latency of one image as float32 ONNX, on one thread of the machine that trained.
    """

    model: str
    side: PositiveCount
    accuracy: Share
    images: PositiveCount
    multiply_accumulates: NotNegative
    int8_bytes: NotNegative
    fp32_latency_ms: NotNegative


class History(Document):
    """``history.json``; a file written by hand needs only the model's digest and the fields that the model needs.

    Attributes:
        model_sha256: of the Keras file that the training wrote; ``None`` on machines that write none.
        settings: the options of the training.
        teacher_sha256: of the teacher model, if there was one.
        initial_model_sha256: of the model that the training started from, if there was one.
        class_names: the class of each output, in order.
        images: numbers of training and validation images.
        best_epoch: number of the epoch that was kept, from 1.
        validation_accuracy: of the kept epoch, or of the network that was fitted to photos.
        out_of_fold: results of cross-validation on few photos; ``None`` if none was done.
        opened: the result of training the last stages, if that was tried.
        contenders: a student and its teacher.
        temperature: divisor of the logits, fitted on the validation images or out of fold.
        photos: how the photos were read and divided, the fields of ``pipeline.data.photo_settings.Settings``;
            ``None`` after a training on CIFAR-10.
        data: the folder of these photos, as given to the training.
        origin_sha256: digest of photos, backbone and settings, if a network was fitted to photos.
        quantize_aware: results of quantization-aware training that export needs; ``None`` if there was none.
        epochs: all epochs, in order.
    """

    FILE: ClassVar = artifacts.HISTORY
    FORMAT: ClassVar = "edgecnn-history"
    REMEDY: ClassVar = "restore the file that python -m pipeline train wrote"

    model_sha256: Sha256 | None = None
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)
    teacher_sha256: Sha256 | None = None
    initial_model_sha256: Sha256 | None = None
    class_names: tuple[str, ...] | None = None
    images: ImageCounts | None = None
    best_epoch: PositiveCount | None = None
    validation_accuracy: Share | None = None
    out_of_fold: OutOfFold | None = None
    opened: FineTunedStages | None = None
    contenders: tuple[ComparedNetwork, ...] = ()
    temperature: Positive = 1.0
    photos: dict[str, Any] | None = None
    data: str | None = None
    origin_sha256: Sha256 | None = None
    quantize_aware: QuantizeAware | None = None
    epochs: tuple[EpochRecord, ...] = ()

    @property
    def records_preprocessing(self) -> bool:
        """Whether ``train`` wrote it, so that the model's preprocessing is known."""
        return bool(self.settings) or self.photos is not None


def path_beside(model_path: Path) -> Path:
    """Return the path of a model's history."""
    return model_path.with_name(artifacts.HISTORY)


def read_history(model_path: Path) -> History | None:
    """Read the history beside a model; ``None`` if there is none, or if it does not name the model's SHA-256.

    A history that is there but does not apply is named on stderr, once.

    Raises:
        DocumentError: it names the model, but its entries are not valid.
    """
    path = path_beside(model_path)
    if not path.is_file() or not model_path.is_file():
        return None
    named, digest = _named_digest(path), _digest(model_path)
    if named != digest:
        _say_once(f"{path}: not used: {_why_not(model_path, named, digest)}")
        return None
    return History.read(path.parent)


def history_for(model_path: Path, model_sha256: str) -> bytes:
    """Return the content of the history beside a model, for a file of the same model with another SHA-256."""
    content = path_beside(model_path).read_bytes()
    history = History.read(model_path.parent)
    if history.model_sha256 == model_sha256:
        return content
    return history.model_copy(update={"model_sha256": model_sha256}).to_json().encode()


def say_what_is_taken(
    model_path: Path, history: History, names: tuple[str, ...] | None, temperature: float | None
) -> None:
    """Print on stderr, once, what is taken from a model's history, and given class names that differ from it.

    Args:
        model_path: the Keras file.
        history: the history beside it.
        names: the class names that were given by options; ``None`` if none were.
        temperature: the temperature that was given; ``None`` if none was.
    """
    path, own = path_beside(model_path), history.class_names
    taken = ["class names"] if names is None and own else []
    if temperature is None and history.temperature != 1:
        taken.append(f"temperature {history.temperature:.4g}")
    if history.photos is not None:
        resize, resize_filter = (history.photos.get(name) for name in ("resize", "resize_filter"))
        taken.append(f"resize ({resize}, {resize_filter})")
    if taken:
        _say_once(f"From {path}: {', '.join(taken)}")
    if names is not None and own and names != own:
        place = next((place for place, pair in enumerate(zip(names, own, strict=False)) if pair[0] != pair[1]), 0)
        _say_once(
            f"{path}: the model was trained with other class names: output {place} was {own[place]}, "
            f"and is {names[place]} as asked"
        )


class _Named(Entry):
    model_sha256: str | None = None


def _named_digest(path: Path) -> str | None:
    """Return the SHA-256 of the model that a JSON file names; ``None`` if it names none or cannot be read."""
    try:
        return _Named.model_validate_json(read_regular(path, MAX_BYTES)).model_sha256
    except (OSError, ValidationError):
        return None


def _why_not(model_path: Path, named: str | None, digest: str) -> str:
    if named is not None:
        return f"it belongs to a model whose SHA-256 begins {named[:12]}, {model_path.name}'s begins {digest[:12]}"
    return (
        f'it names no model; if it belongs to {model_path.name}, add "model_sha256": "{digest}" to it, '
        "or say with options what the model expects"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)
