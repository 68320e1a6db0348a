"""``known.json``: how well the files distinguish photos of their classes from other pictures."""

from typing import ClassVar

from pydantic import model_validator

from pipeline import artifacts
from pipeline.documents.base import (
    MIN_IMAGES_FOR_VERDICT,
    Count,
    Document,
    Entry,
    FileName,
    PositiveCount,
    Sha256,
    Share,
    named,
)

NEAR_CHANCE = 0.6
"""An AUROC whose 95 % interval reaches down to this is near chance, which is 0.5."""


class FamiliarityCheck(Entry):
    """Whether familiarity tells photos of the classes from other pictures, before any file is written.

    Attributes:
        photos: number of validation photos of the classes, on which the threshold is chosen.
        auroc: area under the ROC curve of their familiarity in Keras against that of synthetic pictures, and of photos
            of the class ``none``; ``None`` if there are too few photos to tell.
        low, high: its 95 % interval.
        written: whether files report familiarity; if it is not useful, only because ``--keep`` asked for it.
    """

    photos: Count
    auroc: Share | None = None
    low: Share | None = None
    high: Share | None = None
    written: bool

    @property
    def is_useful(self) -> bool:
        """Whether there are enough photos, and the AUROC is above chance."""
        return self.photos >= MIN_IMAGES_FOR_VERDICT and self.low is not None and self.low > NEAR_CHANCE

    @property
    def sentence(self) -> str:
        """The result, and what to do if the score is not useful."""
        found = "" if self.auroc is None else f"AUROC {self.auroc:.2f}, 95 % interval {self.low:.2f} to {self.high:.2f}"
        if self.is_useful:
            return f"Familiarity (is_known) tells photos of the classes from other pictures: {found}."
        why = f"it takes {MIN_IMAGES_FOR_VERDICT} validation photos, there are {self.photos}"
        remedy = f"Give {10 * MIN_IMAGES_FOR_VERDICT} photos or more, or {MIN_IMAGES_FOR_VERDICT} in val/"
        if self.auroc is not None:
            why = f"it hardly tells photos of the classes from other pictures ({found}; 0.5 is chance)"
            remedy = "Train on more photos, or also on a class none"
        if self.written:
            return f"Do not rely on familiarity (is_known), which --keep asked for: {why}. {remedy}."
        return f"The files have no familiarity score (is_known): {why}. {remedy}; --keep 0.95 writes it anyway."


class OutOfDistribution(Entry):
    """Results on pictures that show none of the classes.

    Attributes:
        kind: of the pictures: a folder name, or the name of a synthetic texture.
        pictures: number of pictures.
        accepted: number of pictures that are taken for known.
        auroc: area under the ROC curve of the score, against photos of the classes: 0.5 is chance, 1 is perfect.
        false_positives: share that would be taken for known with the threshold that 95 % of the classes' photos reach.
        counts: histogram of their scores, in the bins of ``Familiarity.edges``.
    """

    kind: str
    pictures: PositiveCount
    accepted: Count = named("mistaken")
    auroc: Share
    false_positives: Share
    counts: tuple[Count, ...]


class Familiarity(Entry):
    """One file's results on photos of its classes and on out-of-distribution pictures.

    Attributes:
        sha256: of the file.
        threshold: the score from which on the file takes an image for known.
        photos: number of photos of its classes.
        known: number of these that it takes for known.
        edges: edges of the bins of scores, one more than there are bins.
        counts: histogram of the photos' scores.
        out_of_distribution: results by kind of picture.
    """

    sha256: Sha256
    threshold: float
    photos: PositiveCount
    known: Count
    edges: tuple[float, ...]
    counts: tuple[Count, ...]
    out_of_distribution: tuple[OutOfDistribution, ...] = named("strangers")

    @model_validator(mode="after")
    def _check_lengths(self) -> "Familiarity":
        histograms = (self.counts, *(row.counts for row in self.out_of_distribution))
        if {len(self.edges) - 1} != {len(counts) for counts in histograms}:
            raise ValueError("expected one edge more than there are counts")
        return self


class Known(Document):
    """``known.json``; ``part`` is the part of the data that the photos are from: test or validation."""

    FILE: ClassVar = artifacts.KNOWN
    FORMAT: ClassVar = "edgecnn-known"
    REMEDY: ClassVar = "export again"

    part: str
    files: dict[FileName, Familiarity]
