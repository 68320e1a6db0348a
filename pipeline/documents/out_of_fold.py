"""What cross-validation on few photos finds, as ``history.json`` keeps it."""

from typing import Literal

from pipeline.documents.base import Count, Entry, NotNegative, Positive, PositiveCount, Share


class CurvePoint(Entry):
    """Out-of-fold accuracy of a training on this average number of photos a class."""

    photos_a_class: Positive
    accuracy: Share


class ClassFound(Entry):
    """How many photos of a class were found out of fold, and what the others were mostly taken for."""

    name: str
    photos: PositiveCount
    found: NotNegative
    taken_for: str | None = None


class Suspect(Entry):
    """A photo whose own label is unlikely out of fold; ``path`` is below the folder of photos."""

    path: str
    label: str
    probability: Share
    taken_for: str


Number = Literal["brightness", "megapixels", "shape"]


class SingleNumber(Entry):
    """A number that has nothing to do with what a photo shows, and still predicts its class.

    Attributes:
        name: brightness (0-255), megapixels, or shape (the long side over the short one).
        accuracy, images: share of photos whose class it predicts, each judged by other photos, and of how many.
        low, high: its 95 % interval (Wilson).
        chance: share of the largest class.
        lowest, highest: the classes with the lowest and the highest median.
    """

    name: Number
    accuracy: Share
    images: PositiveCount
    low: Share
    high: Share
    chance: Share
    lowest: str
    lowest_median: NotNegative
    highest: str
    highest_median: NotNegative

    @property
    def stated(self) -> str:
        """In a sentence."""
        what, form, unit = {
            "brightness": ("The brightness of a photo", ".0f", " of 255"),
            "megapixels": ("The size of a photo", ".2g", " megapixels"),
            "shape": ("The shape of a photo (its long side over its short one)", ".2f", ""),
        }[self.name]
        return (
            f"{what} alone tells {self.accuracy:.0%} of {self.images:,} apart ({self.low:.0%} to {self.high:.0%}; "
            f"guessing tells {self.chance:.0%}): its median is {self.lowest_median:{form}}{unit} in {self.lowest} and "
            f"{self.highest_median:{form}}{unit} in {self.highest}. The network may learn that instead of what the "
            "photos show: take all classes in the same way."
        )


class OutOfFold(Entry):
    """Cross-validation: each photo judged by a network that did not learn from it, or from one that looks like it.

    Attributes:
        accuracy, images: share of right answers, and of how many photos.
        low, high: its 95 % interval (Wilson, of ``effective`` photos).
        effective: how many photos count, those of a burst as one; see ``effective_count``. ``None`` in histories that
            are older than that rule, whose interval counts every photo.
        folds, repeats: how often training was repeated.
        look_alike: photos that look like another one.
        between_classes: pairs of photos that look alike and lie in different classes.
        plain_accuracy: share of right answers where nothing is known of a photo but its mean color and contrast.
        single_numbers: what alone predicts the class, though it should not; the best first.
        confusion: rows are what the photos show, in the order of the class names, columns what they were taken for.
        curve: the learning curve; its last point is ``accuracy``.
        gain_of_twice: by how much ``accuracy`` would rise with twice as many photos, where the curve tells.
        classes: the weakest first.
        suspects: the least likely labels first.
    """

    accuracy: Share
    images: PositiveCount
    low: Share
    high: Share
    effective: Positive | None = None
    folds: PositiveCount
    repeats: PositiveCount
    look_alike: NotNegative
    between_classes: tuple[tuple[str, str], ...] = ()
    plain_accuracy: Share | None = None
    single_numbers: tuple[SingleNumber, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    gain_of_twice: Share | None = None
    classes: tuple[ClassFound, ...] = ()
    suspects: tuple[Suspect, ...] = ()
