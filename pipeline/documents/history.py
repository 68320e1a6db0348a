"""``history.json``: what training left beside a model. It counts only for the model whose SHA-256 it names."""

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import artifacts
from pipeline.errors import DataError

MAX_HISTORY_BYTES = 64 * 1024 * 1024


class History(BaseModel):
    """What other commands take from a training, beside what only reports read.

    Attributes:
        model_sha256: hex SHA-256 of the Keras file that the training wrote.
        class_names: one an output, in order.
        temperature: what the logits are divided by; fitted on the validation images.
        photos: how own photos were read and divided, the fields of ``pipeline.data.folder.Settings``; ``None`` after
            a training on CIFAR-10.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    model_sha256: str
    class_names: list[str] | None = None
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    photos: dict[str, Any] | None = None


def path_beside(model_path: Path) -> Path:
    """Where the history of a model lies."""
    return model_path.with_name(artifacts.HISTORY)


def read_history(model_path: Path) -> History | None:
    """The history beside a model; ``None`` where there is none, or one that does not name the model's SHA-256.

    One that lies there and does not count is named on stderr, once.

    Raises:
        DataError: it names the model, but its entries cannot be understood.
    """
    path = path_beside(model_path)
    if not path.is_file() or not model_path.is_file():
        return None
    named, digest = _named_digest(path), _digest(model_path)
    if named != digest:
        _say_once(f"{path}: not used: {_why_not(model_path, named, digest)}")
        return None
    try:
        return History.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{path}: {first['loc'][0]} cannot be used ({first['msg']}, got {first['input']!r}); restore the file that "
            "training wrote"
        ) from error


def history_for(model_path: Path, model_sha256: str) -> bytes:
    """The content of the history beside a model, for the same model saved as the file of another digest."""
    content = path_beside(model_path).read_bytes()
    entries = json.loads(content)
    if entries["model_sha256"] == model_sha256:
        return content
    return (json.dumps({**entries, "model_sha256": model_sha256}, indent=2) + "\n").encode()


def say_what_is_taken(model_path: Path, history: History, *, names: bool, temperature: bool) -> None:
    """Name on stderr, once, what a model gets from its history: class names and temperature where these are asked."""
    taken = ["class names"] if names and history.class_names else []
    if temperature and history.temperature != 1:
        taken.append(f"temperature {history.temperature:.4g}")
    if history.photos is not None:
        taken.append(f"photos ({', '.join(str(history.photos.get(name)) for name in ('resize', 'resize_filter'))})")
    if taken:
        _say_once(f"{path_beside(model_path)}: {', '.join(taken)} are taken")


def _named_digest(path: Path) -> str | None:
    """The model that a JSON file names; ``None`` where it names none or is no such file."""
    try:
        if path.stat().st_size > MAX_HISTORY_BYTES:
            return None
        content = artifacts.read_json(path)
    except (OSError, ValueError, RecursionError):
        return None
    named = content.get("model_sha256") if isinstance(content, dict) else None
    return named if isinstance(named, str) else None


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
