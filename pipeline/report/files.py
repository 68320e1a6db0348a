"""JSON files read as typed values, so that what is not as it should be is one clear line; and ``manifest.json``."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ReportError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e15)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(gt=0)]


class Entry(BaseModel):
    """A JSON object: its entries are of these types, every number is finite, and further entries are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


class FileEntry(Entry):
    """A file of the export folder."""

    bytes: Some
    sha256: str


class ImageSet(Entry):
    """Images that export used."""

    images: Count
    digest: str


class ValidationSet(ImageSet):
    """The images that every choice was made on."""

    keras_accuracy: Share


class Candidate(Entry):
    """A recipe that was tried for a file."""

    stage: str
    summary: str
    accuracy: Share
    lost_points: float
    p_value: float
    agreement: Share
    latency_ratio: Positive | None
    breaches: tuple[str, ...]


class Decision(Entry):
    """The search behind a file."""

    summary: str
    passed: bool
    candidates: tuple[Candidate, ...]


class Manifest(Entry):
    """``manifest.json``."""

    files: dict[str, FileEntry]
    class_names: tuple[str, ...]
    side: int
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    temperature: float
    calibration: ImageSet
    validation: ValidationSet
    gate: dict[str, float]
    decisions: dict[str, Decision]
    passed: bool
    versions: dict[str, str]


File = TypeVar("File", bound=Entry)


def read(path: Path, kind: type[File]) -> File:
    """Read a JSON file.

    Args:
        path: the file.
        kind: what it should hold.

    Raises:
        ReportError: not there, no JSON, or not such a file; what to do about it is for the caller to add.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ReportError(f"{path}: not there") from error
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ReportError(f"{path}: {_fault(error.errors(include_url=False)[0])}") from error


def _fault(found: ErrorDetails) -> str:
    """What was got in place of what."""
    where = ".".join(map(str, found["loc"]))
    if found["type"] == "json_invalid":
        return f"not JSON ({found['ctx']['error']})"
    if found["type"] == "missing":
        return f"has no entry {where!r}"
    expected = found["msg"][:1].lower() + found["msg"][1:]
    return f"{f'its {where!r}' if where else 'what it holds'} is {found['input']!r:.40}, {expected}"
