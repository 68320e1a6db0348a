"""``drift.json``: distance of each exported file's layers from Keras's, and the images that change their class."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, FileName, PositiveCount, Sha256, Share, ShareOrNone

Decibels = Annotated[float, Field(ge=-1000, le=1000)]


class Layer(Entry):
    """A layer of the reference.

    ``absorbable``: converters may fuse it with the layer that follows, so that its own output exists nowhere.
    """

    name: str
    kind: str
    absorbable: bool = False


class LayerDistance(Entry):
    """Distance of a file's layer from the reference's; ``value`` is the name of its tensor in the file."""

    snr_db: Decibels
    cosine: float
    value: str = ""


class Steepest(Entry):
    """The layer that adds most noise, and by how many decibels it is below the worst of its inputs."""

    layer: str
    lost_db: float


class Flip(Entry):
    """An image to which a file gives another class than Keras; ``image`` is its index, ``path`` its photo file."""

    image: Count
    path: str | None = None
    true_class: str
    keras_class: str
    keras_probability: Share
    file_class: str = Field(validation_alias="class", serialization_alias="class")
    probability: ShareOrNone


class FileDrift(Entry):
    """One file's drift: the layers that were found in it, the first layer below the threshold, and its flips.

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
    """``drift.json``; ``pictures`` maps an image's index to a PNG file in base64."""

    FILE: ClassVar = artifacts.DRIFT
    FORMAT: ClassVar = "edgecnn-drift"
    REMEDY: ClassVar = "run python -m pipeline drift DIR"

    images: PositiveCount
    images_digest: Sha256 | None = None
    layer_images: PositiveCount
    layers: tuple[Layer, ...] = Field(min_length=1)
    artifacts: dict[FileName, FileDrift] = Field(min_length=1)
    pictures: dict[str, str]
