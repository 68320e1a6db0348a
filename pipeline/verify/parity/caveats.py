"""Write the caveats of a verification: what a PASS does not prove."""

from collections.abc import Iterable

from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT
from pipeline.documents.manifest import Manifest
from pipeline.documents.shares import FEW_IMAGES
from pipeline.documents.verify import ALSO_CHOSE, ALSO_DECIDED, MAY_HAVE_LEARNED, Measured, Scores, Unusable
from pipeline.metrics.multi_label import FOLDS
from pipeline.metrics.significance import CONFIDENCE, beats_chance, wilson
from runtime.text import plural


def caveats(images: int, classes: int, keras: Scores, rows: Iterable[Measured | Unusable]) -> tuple[str, ...]:
    """List the caveats, a text each.

    Args:
        images: number of test images.
        classes: number of classes.
        keras: Keras's scores on the images.
        rows: the results of the files.
    """
    said = _how_little_it_says(images, rows) if images < FEW_IMAGES else []
    if keras.score is None:
        said.append(
            "The images have no labels: accuracy was not measured, and wrong preprocessing would not show. PASS means "
            "only that the files answer as Keras does on the same pixels."
        )
    elif (
        keras.accuracy is not None
        and images >= MIN_IMAGES_FOR_VERDICT
        and not beats_chance(keras.accuracy, images, classes)
    ):
        few = " or too few images" if images < FEW_IMAGES else ""
        said.append(
            f"Keras itself is no better than guessing on these {images} images, so PASS means only that a file answers "
            "as Keras does. Possible causes: class names in the wrong order, a wrong range of pixel values (--scale), "
            f"a wrong resize (--resize, --filter), a model that has not learned{few}."
        )
    return tuple(said)


def of_choice(manifest: Manifest) -> tuple[str, ...]:
    """List the caveats on images on which export judged the int8 files, a text each."""
    return (ALSO_CHOSE,) if manifest.has_searched else (ALSO_DECIDED,) if manifest.has_compared_biases else ()


def of_known_images(keras: Scores, *, trained_here: bool, part: str, chosen_on: bool) -> tuple[str, ...]:
    """List the caveats on labeled images that had a share in the model, a text each.

    Args:
        keras: Keras's scores on the images.
        trained_here: whether the model's history says on which photos it was trained.
        part: which part of the data the images are.
        chosen_on: whether the thresholds of a multi-label model were chosen on these images.
    """
    said = []
    if chosen_on and keras.labels is not None:
        said.append(
            f"The thresholds were chosen on these images. For F1, each of {FOLDS} parts of them was judged with "
            "thresholds chosen on the others."
        )
    if part == "validation" and not trained_here and keras.score is not None:
        said.append(MAY_HAVE_LEARNED)
    return tuple(said)


def _how_little_it_says(images: int, rows: Iterable[Measured | Unusable]) -> list[str]:
    """Give an upper bound of the share of images whose class changes, for the file that changes most."""
    measured = [row for row in rows if isinstance(row, Measured)]
    changed, agreeing = "class", [row.agreement for row in measured]
    if any(row.label_agreement for row in measured):
        changed, agreeing = "one label", [min(row.label_agreement) for row in measured]
    flipped = max((round((1 - share) * images) for share in agreeing), default=None)
    if flipped is None:
        return []
    bound = wilson(flipped, images).high
    said = (
        f"Only {plural(images, 'image')}: {flipped} of them changed {changed}, so up to {bound:.0%} of all images may "
        f"({100 * CONFIDENCE:.0f} % interval); verify on {FEW_IMAGES} or more."
    )
    return [said]
