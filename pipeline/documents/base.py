"""The base of all documents: frozen, versioned, and validated when a file is read.

A file begins with the entries ``format`` and ``version``. A file without them was written before they were introduced,
and counts as version 1. Entries that a class does not know are ignored.
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from pipeline import artifacts
from pipeline.errors import DocumentError
from runtime.system.files import read_regular
from runtime.text import for_page

MAX_BYTES = 64 * 1024 * 1024
MAX_SHOWN = 40
"""Characters of a wrong value that a message shows."""

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e15)]
NotNegative = Annotated[float, Field(ge=0, le=1e15)]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
"""A file name without folders and control characters."""


def named(key: str, **checks: Any) -> Any:
    """Define a field whose entry in the file is called ``key``; the field's own name is read, too."""
    return Field(validation_alias=key, serialization_alias=key, **checks)


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return for_page(value)
    if isinstance(value, tuple | list):
        return type(value)(map(_printable, value))
    if isinstance(value, dict):
        return {_printable(name): _printable(entry) for name, entry in value.items()}
    return value


FiniteOrNone = Annotated[float | None, BeforeValidator(_none_for_nan)]
"""A number that is ``None`` if it was not finite."""
ShareOrNone = Annotated[Share | None, BeforeValidator(_none_for_nan)]


MIN_IMAGES_FOR_VERDICT = 30
"""On fewer images no verdict is given: even if none of them changes its class, up to 11 % of all images may (95 %
interval)."""
TOO_FEW = "too few images to tell"
"""The text shown instead of the verdict on fewer images."""


class Entry(BaseModel):
    """A JSON object. Numbers must be finite; texts and numbers are not converted into each other.

    Control characters and marks of writing direction in texts are replaced by escapes, because the texts are shown in
    terminals, pages and figures.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True, populate_by_name=True)

    @field_validator("*", mode="after")
    @classmethod
    def _escape(cls, value: Any) -> Any:
        return _printable(value)


class Document(Entry):
    """A JSON file.

    Attributes:
        FILE: its name in a folder.
        FORMAT: the entry ``format``.
        VERSION: the entry ``version`` of the files that are written; older versions are read, newer ones refused.
        REMEDY: what to do if it is missing or unusable, for messages.
    """

    FILE: ClassVar[str]
    FORMAT: ClassVar[str]
    VERSION: ClassVar[int] = 1
    REMEDY: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the document of a folder.

        Raises:
            DocumentError: it is missing, is another kind of document, or has a newer version.
        """
        return read(folder / cls.FILE, cls)

    def write(self, folder: Path) -> None:
        """Write the document into a folder atomically."""
        artifacts.write_bytes(folder / self.FILE, self.to_json().encode())

    def to_json(self) -> str:
        """Return the content of the file."""
        heading = {"format": self.FORMAT, "version": self.VERSION}
        return json.dumps(heading | self.model_dump(mode="json", by_alias=True), indent=2) + "\n"


class _Heading(Entry):
    format: str | None = None
    version: int = 1


DocumentT = TypeVar("DocumentT", bound=Document)
EntryT = TypeVar("EntryT", bound=Entry)


def read(path: Path, kind: type[DocumentT]) -> DocumentT:
    """Read a document.

    Args:
        path: the file, which may have any name.
        kind: the class of the document.

    Raises:
        DocumentError: it is missing, is another kind of document, or has a newer version.
    """
    try:
        content = read_regular(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise DocumentError(path, "not there", kind.REMEDY) from error
    except OSError as error:
        raise DocumentError(path, f"cannot be read ({error.strerror})", kind.REMEDY) from error
    heading = _parse(path, content, _Heading, kind.REMEDY)
    if heading.format not in (None, kind.FORMAT):
        raise DocumentError(path, f"its format is {heading.format!r:.{MAX_SHOWN}}, not {kind.FORMAT!r}", kind.REMEDY)
    if heading.version > kind.VERSION:
        fault = f"written in version {heading.version} of the format, this edgecnn reads up to {kind.VERSION}"
        raise DocumentError(path, fault, f"update edgecnn, or {kind.REMEDY}")
    return _parse(path, content, kind, kind.REMEDY)


def _parse(path: Path, content: bytes, kind: type[EntryT], remedy: str) -> EntryT:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise DocumentError(path, _fault(error.errors(include_url=False)[0]), remedy) from error


def _fault(found: ErrorDetails) -> str:
    """Describe the first validation error: the entry, its value and what was expected."""
    where = ".".join(map(str, found["loc"]))
    if found["type"] == "json_invalid":
        return f"not JSON ({found['ctx']['error']})"
    if found["type"] == "missing":
        return f"has no entry {where!r:.120}"
    expected = found["msg"][:1].lower() + found["msg"][1:]
    place = f"its {where!r:.120}" if where else "its content"
    return f"{place} is {found['input']!r:.{MAX_SHOWN}}, {expected}"
