"""What the verdicts leave open."""

from collections.abc import Iterable

from pipeline.documents.verify import Measured, Unusable
from pipeline.metrics.significance import CONFIDENCE, beats_chance, upper_bound

FEW_IMAGES = 200
"""On fewer images a verdict comes with a bound on the share of flipped images."""


def caveats(images: int, classes: int, keras_accuracy: float, rows: Iterable[Measured | Unusable]) -> tuple[str, ...]:
    """What the verdicts leave open, a sentence each.

    Args:
        images: how many there are.
        classes: how many there are.
        keras_accuracy: share (0-1) of the images that Keras classifies correctly.
        rows: the files.
    """
    said = _how_little_it_says(images, rows) if images < FEW_IMAGES else []
    if not beats_chance(keras_accuracy, images, classes):
        few = "these images are too few to tell, or " if images < FEW_IMAGES else ""
        said.append(
            f"Keras itself does no better here than chance may: {few}the class names are not in the model's order, "
            "what it expects of its pixels (--scale) or how its photos were resized (--filter) is not right, or it has "
            "not learned. Equal to Keras is all that PASS says."
        )
    return tuple(said)


def _how_little_it_says(images: int, rows: Iterable[Measured | Unusable]) -> list[str]:
    """An upper bound of the share of flipped images, for the file with most of them."""
    flipped = max((round((1 - row.agreement) * images) for row in rows if isinstance(row, Measured)), default=None)
    if flipped is None:
        return []
    bound = upper_bound(flipped, images)
    said = (
        f"So few images say little: with {flipped} of {images} in another class, up to {bound:.0%} of all may be "
        f"({CONFIDENCE:.0%} confidence); verify on {FEW_IMAGES} or more."
    )
    return [said]
