"""``drift.json``: where the layers of each exported file leave Keras's, and the images that change their class."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, FileName, PositiveCount, Share

Decibels = Annotated[float, Field(ge=-1000, le=1000)]


class Layer(Entry):
    """A layer of the reference."""

    name: str
    kind: str


class LayerDistance(Entry):
    """How close a file's layer is to it."""

    snr_db: Decibels
    cosine: float


class Flip(Entry):
    """An image whose class is another in a file than in Keras."""

    image: Count
    true_class: str
    keras_class: str
    keras_probability: Share
    file_class: str = Field(alias="class")
    probability: Share


class FileDrift(Entry):
    """Layers and flips of one file."""

    sha256: str | None = None
    threshold_db: Decibels
    first_past: str | None
    layers: dict[str, LayerDistance]
    flips: tuple[Flip, ...]


class DriftReport(Document):
    """``drift.json``; ``pictures`` are PNG files in base64, by the image's index."""

    FILE: ClassVar = artifacts.DRIFT
    FORMAT: ClassVar = "edgecnn-drift"
    REMEDY: ClassVar = "run python -m pipeline drift DIR"

    images: PositiveCount
    layer_images: PositiveCount
    layers: tuple[Layer, ...] = Field(min_length=1)
    artifacts: dict[FileName, FileDrift] = Field(min_length=1)
    pictures: dict[str, str]
