"""The results of cross-validation on few photos, a part of ``history.json``."""

from typing import Literal

from pipeline.documents.base import Count, Entry, NotNegative, Positive, PositiveCount, Share, named


class CurvePoint(Entry):
    """A point of the learning curve: average number of training photos per class, and out-of-fold accuracy."""

    photos_a_class: Positive
    accuracy: Share


class ClassRecall(Entry):
    """The number of a class's photos classified correctly out of fold, and the class that the others mostly get."""

    name: str
    photos: PositiveCount
    found: NotNegative
    taken_for: str | None = None


class Suspect(Entry):
    """A photo whose own label has a low probability out of fold; ``path`` is relative to the folder of photos."""

    path: str
    label: str
    probability: Share
    taken_for: str


ShortcutName = Literal["brightness", "megapixels", "shape"]


class ShortcutFeature(Entry):
    """A number that is unrelated to a photo's content and still predicts its class.

    Attributes:
        name: brightness (0-255), megapixels, or shape (the long side over the short one).
        accuracy, images: cross-validated accuracy (0-1) of predicting the class from it, and the number of photos.
        low, high: 95 % interval of the accuracy (Wilson).
        chance: share of the largest class.
        lowest, highest: the classes with the lowest and the highest median.
    """

    name: ShortcutName
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
    def sentence(self) -> str:
        """Description in a sentence."""
        what, form, unit = {
            "brightness": ("The brightness of a photo", ".0f", " of 255"),
            "megapixels": ("The size of a photo", ".2g", " megapixels"),
            "shape": ("The shape of a photo (its long side over its short one)", ".2f", ""),
        }[self.name]
        return (
            f"{what} alone tells {self.accuracy:.0%} of {self.images:,} apart ({self.low:.0%} to {self.high:.0%}; "
            f"guessing tells {self.chance:.0%}): its median is {self.lowest_median:{form}}{unit} in {self.lowest} and "
            f"{self.highest_median:{form}}{unit} in {self.highest}. The network may learn that instead of what the "
            "photos show: photograph all classes in the same way."
        )


class OutOfFold(Entry):
    """Cross-validation: each photo is judged by a network that learned neither from it nor from one that looks like it.

    Attributes:
        accuracy, images: share of right answers (0-1), and the number of photos.
        low, high: 95 % interval of the accuracy (Wilson, with ``effective`` photos).
        effective: effective number of independent photos, where photos that look alike count as a group; see
            ``pipeline.metrics.significance.effective_count``. ``None`` in older histories, whose interval counts every
            photo.
        folds, repeats: number of folds, and how often the cross-validation was repeated.
        look_alike: number of photos that look like another one.
        between_classes: pairs of photos that look alike and lie in different classes.
        plain_accuracy: accuracy (0-1) of a classifier that sees only a photo's mean color and contrast.
        shortcut_features: numbers such as brightness that predict the class by themselves; the most accurate first.
        confusion: rows are true classes, in the order of the class names, columns are answers.
        curve: the learning curve; its last point is ``accuracy``.
        gain_of_twice: estimated gain in ``accuracy`` from twice as many photos; ``None`` if the curve does not tell.
        classes: results by class, the lowest recall first.
        suspects: the photos with the lowest probability of their own label first.
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
    shortcut_features: tuple[ShortcutFeature, ...] = named("single_numbers", default=())
    confusion: tuple[tuple[Count, ...], ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    gain_of_twice: Share | None = None
    classes: tuple[ClassRecall, ...] = ()
    suspects: tuple[Suspect, ...] = ()
