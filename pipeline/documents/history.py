"""``history.json``: what training left beside a model. It counts only for the model whose SHA-256 it names."""

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
)
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.documents.quantize_aware import QuantizeAware
from runtime.system.files import read_regular


class EpochRecord(Entry):
    """One epoch. Accuracy and loss are of the augmented training images, ``val_…`` of the validation images.

    A loss is ``None`` where it was not a finite number.
    """

    epoch: PositiveCount
    seconds: NotNegative
    accuracy: Share
    loss: FiniteOrNone
    val_accuracy: Share
    val_loss: FiniteOrNone
    learning_rate: NotNegative


class ImageCounts(Entry):
    """How many images were trained on, and how many chose the best epoch."""

    training: PositiveCount
    validation: PositiveCount


class OpenedStages(Entry):
    """Whether it helped to train the last stages of a pretrained network, too.

    Attributes:
        behind: name of the layer behind which all were trained.
        epochs: passes over the photos.
        images: that both were judged on, out of fold.
        frozen, opened: share of right answers with a new last layer alone, and with the last stages trained.
        p_value: of McNemar's one-sided test that ``opened`` is no better.
        kept: whether the network that was written has them.
    """

    behind: str
    epochs: PositiveCount
    images: PositiveCount
    frozen: Share
    opened: Share
    p_value: Share
    kept: bool


class Contender(Entry):
    """A network beside which another one is set.

    Attributes:
        model, side: its name, and the side of its images in pixels.
        accuracy, images: share of right answers on the validation images, which it did not learn from.
        multiply_accumulates: of one image.
        int8_bytes: of its weights in int8.
        fp32_latency_ms: of one image on one thread of the machine that trained, in float32 ONNX.
    """

    model: str
    side: PositiveCount
    accuracy: Share
    images: PositiveCount
    multiply_accumulates: NotNegative
    int8_bytes: NotNegative
    fp32_latency_ms: NotNegative


class History(Document):
    """``history.json``; one written by hand may have nothing but the model's digest and what that model needs.

    Attributes:
        model_sha256: of the Keras file that the training wrote; ``None`` on the machines that write none.
        settings: the options of the training.
        teacher_sha256: of the model that it learned from, if there was one.
        class_names: one an output, in order.
        images: how many there were.
        best_epoch: the number of the epoch that was kept.
        validation_accuracy: of the kept epoch, or of the network that was fitted on few photos.
        out_of_fold: what accuracy on few photos rests on; ``None`` where no cross-validation was done.
        opened: what opening the last stages brought, where that was tried.
        contenders: a student and the network that it learned from.
        temperature: what the logits are divided by; fitted on the validation images, or out of fold.
        photos: how own photos were read and divided, the fields of ``pipeline.data.photo_settings.Settings``;
            ``None`` after a training on CIFAR-10.
        data: the folder of these photos, as given to the training.
        origin_sha256: of photos, backbone and recipe, where a network was fitted to photos.
        quantize_aware: what export needs of quantization-aware training; ``None`` where there was none.
        epochs: all of them, in order.
    """

    FILE: ClassVar = artifacts.HISTORY
    FORMAT: ClassVar = "edgecnn-history"
    REMEDY: ClassVar = "restore the file that python -m pipeline train wrote"

    model_sha256: Sha256 | None = None
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)
    teacher_sha256: Sha256 | None = None
    class_names: tuple[str, ...] | None = None
    images: ImageCounts | None = None
    best_epoch: PositiveCount | None = None
    validation_accuracy: Share | None = None
    out_of_fold: OutOfFold | None = None
    opened: OpenedStages | None = None
    contenders: tuple[Contender, ...] = ()
    temperature: Positive = 1.0
    photos: dict[str, Any] | None = None
    data: str | None = None
    origin_sha256: Sha256 | None = None
    quantize_aware: QuantizeAware | None = None
    epochs: tuple[EpochRecord, ...] = ()

    @property
    def says_how_fed(self) -> bool:
        """Whether ``train`` wrote it, which feeds a model as every other command does."""
        return bool(self.settings) or self.photos is not None


def path_beside(model_path: Path) -> Path:
    """Where the history of a model lies."""
    return model_path.with_name(artifacts.HISTORY)


def read_history(model_path: Path) -> History | None:
    """The history beside a model; ``None`` where there is none, or one that does not name the model's SHA-256.

    One that lies there and does not count is named on stderr, once.

    Raises:
        DocumentError: it names the model, but its entries cannot be understood.
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
    """The content of the history beside a model, for the same model saved as the file of another digest."""
    content = path_beside(model_path).read_bytes()
    history = History.read(model_path.parent)
    if history.model_sha256 == model_sha256:
        return content
    return history.model_copy(update={"model_sha256": model_sha256}).to_json().encode()


def say_what_is_taken(
    model_path: Path, history: History, names: tuple[str, ...] | None, temperature: float | None
) -> None:
    """Name on stderr, once, what a model gets from its history, and class names that differ from its own.

    Args:
        model_path: the Keras file.
        history: what lies beside it.
        names: the class names that were given instead; ``None`` if none were.
        temperature: likewise.
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
    """The model that a JSON file names; ``None`` where it names none or is no such file."""
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
