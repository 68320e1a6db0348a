"""``known.json``: how well the files distinguish photos of their classes from other pictures."""

from typing import ClassVar

from pydantic import model_validator

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, FileName, PositiveCount, Sha256, Share


class Strangers(Entry):
    """Pictures that show none of the classes.

    Attributes:
        kind: what they show.
        pictures: how many there are.
        mistaken: how many are taken for known.
        auroc: area under the ROC curve of the score, against photos of the classes: 0.5 is chance, 1 never errs.
        false_positives: share of them that is taken for known by a threshold that 95 % of these photos reach.
        counts: of their scores, in the bins of ``Familiarity.edges``.
    """

    kind: str
    pictures: PositiveCount
    mistaken: Count
    auroc: Share
    false_positives: Share
    counts: tuple[Count, ...]


class Familiarity(Entry):
    """One file: what it makes of photos of its classes and of strangers.

    Attributes:
        sha256: of the file.
        threshold: the score from which on it takes an image for known.
        photos: of its classes, how many there are.
        known: how many of these are known.
        edges: of the bins of scores, one more than there are bins.
        counts: of the photos' scores.
        strangers: by kind.
    """

    sha256: Sha256
    threshold: float
    photos: PositiveCount
    known: Count
    edges: tuple[float, ...]
    counts: tuple[Count, ...]
    strangers: tuple[Strangers, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> "Familiarity":
        if {len(self.edges) - 1} != {len(counts) for counts in (self.counts, *(row.counts for row in self.strangers))}:
            raise ValueError("edges do not fit the counts")
        return self


class Known(Document):
    """``known.json``; ``part`` says of which part of the data the photos are."""

    FILE: ClassVar = artifacts.KNOWN
    FORMAT: ClassVar = "edgecnn-known"
    REMEDY: ClassVar = "export again"

    part: str
    files: dict[FileName, Familiarity]
