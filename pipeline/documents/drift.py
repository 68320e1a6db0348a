"""``drift.json``: where the layers of each exported file leave Keras's, and the images that change their class."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, FileName, PositiveCount, Sha256, Share, ShareOrNone

Decibels = Annotated[float, Field(ge=-1000, le=1000)]


class Layer(Entry):
    """A layer of the reference.

    ``absorbable``: converters may compute it together with the layer that follows, so that its own result exists
    nowhere.
    """

    name: str
    kind: str
    absorbable: bool = False


class LayerDistance(Entry):
    """How close a file's layer is to the reference's; ``value`` is its tensor's name in the file."""

    snr_db: Decibels
    cosine: float
    value: str = ""


class Steepest(Entry):
    """The layer that loses most against the worst of its inputs, and how many decibels it loses."""

    layer: str
    lost_db: float


class Flip(Entry):
    """An image whose class is another in a file than in Keras; ``image`` is its index, ``path`` its file's."""

    image: Count
    path: str | None = None
    true_class: str
    keras_class: str
    keras_probability: Share
    file_class: str = Field(validation_alias="class", serialization_alias="class")
    probability: ShareOrNone


class FileDrift(Entry):
    """The layers of one file that were found in it, the first one below the threshold, and its flips.

    Flips are ordered by Keras's probability, the highest first.
    """

    sha256: Sha256 | None = None
    precision: str = ""
    threshold_db: Decibels
    first_past: str | None
    steepest: Steepest | None = None
    layers: dict[str, LayerDistance]
    flips: tuple[Flip, ...]


class DriftReport(Document):
    """``drift.json``; ``pictures`` are PNG files in base64, by the image's index."""

    FILE: ClassVar = artifacts.DRIFT
    FORMAT: ClassVar = "edgecnn-drift"
    REMEDY: ClassVar = "run python -m pipeline drift DIR"

    images: PositiveCount
    images_digest: Sha256 | None = None
    layer_images: PositiveCount
    layers: tuple[Layer, ...] = Field(min_length=1)
    artifacts: dict[FileName, FileDrift] = Field(min_length=1)
    pictures: dict[str, str]
