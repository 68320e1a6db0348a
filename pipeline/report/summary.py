"""The top of the page: the exported files and their model."""

from pipeline import artifacts
from pipeline.data.dataset import format_size
from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import Measured, Verification
from pipeline.report.figures.style import shorten
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, points, size
from pipeline.report.sections import Section, Table
from runtime.text import first_of, plural

ALL_NAMED, FIRST_NAMED = 4, 2
"""The title names all of at most this many classes, or else the first."""
NAME_LENGTH = 40
"""Characters of a class's name in the title."""


def title(manifest: Manifest) -> str:
    """Name the classes in one line: "ants or bees", or the number of classes and the first of them."""
    names = [shorten(name, NAME_LENGTH) for name in manifest.class_names]
    if len(names) <= ALL_NAMED:
        return f"{', '.join(names[:-1])} {'or' if manifest.thresholds is None else 'and'} {names[-1]}"
    return f"{len(names):,} classes: {', '.join(names[:FIRST_NAMED])}, …"


def subtitle(manifest: Manifest) -> str:
    """Describe the size of the images, and the number of classes and model files in one line."""
    size_text, models = format_size(manifest.size).replace("x", "×"), _files(len(_models(manifest)))
    return f"{size_text} pixels, {plural(len(manifest.class_names), 'class')}, {models}"


def _models(manifest: Manifest) -> list[str]:
    return [name for name in manifest.files if name.startswith("model_")]


def _files(count: int) -> str:
    return "1 model file" if count == 1 else f"{count} model files"


def origin(facts: Facts) -> list[tuple[str, str]]:
    """Describe the model and data that the files were made from: pairs of name and text."""
    manifest = facts.manifest
    keras = manifest.files.get(artifacts.MODEL_KERAS)
    several = [("Labels", "several per image, each judged by itself")]
    rows = [
        ("Classes", first_of(manifest.class_names)),
        ("The model takes", _range(manifest)),
        *(several if manifest.thresholds else [("Temperature", f"{manifest.temperature:.4g}")]),
        ("Calibrated on", plural(manifest.calibration.images, "training image")),
        (f"{manifest.how_int8.capitalize()} on", plural(manifest.validation.images, "validation image")),
    ]
    if keras:
        name = manifest.source or artifacts.MODEL_KERAS
        kept = f" (kept as {artifacts.MODEL_KERAS})" if name != artifacts.MODEL_KERAS else ""
        rows.insert(0, ("Exported from", f"{name}{kept}, {size(keras.bytes)}, SHA-256 {keras.sha256[:12]}…"))
    if facts.verified:
        rows.append(("Verified on", facts.verified.judged_on))
    return rows


def _range(manifest: Manifest) -> str:
    """Say which values the pixels (0-255) become in the files: once, or for red, green and blue if they differ."""
    pairs = dict.fromkeys(zip(manifest.scale, manifest.offset, strict=True))
    ranges = " / ".join(f"{offset:.3g} to {255 * scale + offset:.3g}" for scale, offset in pairs)
    return f"pixels of {ranges}, scaled inside the files" if pairs.keys() != {(1.0, 0.0)} else "pixels of 0 to 255"


def files(facts: Facts) -> Section:
    """Build the section on the files: size, accuracy and verdict of verify."""
    manifest, verified = facts.manifest, facts.verified
    keras = manifest.files.get(artifacts.MODEL_KERAS)
    rows: list[tuple[str, ...]] = []
    if keras:
        accuracy = _share(verified.keras.score, verified) if verified else NONE
        rows.append((artifacts.MODEL_KERAS, size(keras.bytes), "1.00", accuracy, "", "", "the reference"))
    known = verified.artifacts if verified else {}
    for name in known or _models(manifest):
        entry, row = manifest.files.get(name), known.get(name)
        share = f"{entry.bytes / keras.bytes:.2f}" if entry and keras else NONE
        head = (name, size(entry.bytes) if entry else NONE, share)
        if isinstance(row, Measured) and verified:
            good = "pass" if verified.has_enough_images else "too few images"
            word = "out of date" if name in facts.stale else "fail" if row.violations else good
            figures = (
                _share(row.score, verified),
                points(
                    -row.accuracy_drop_points
                    if row.accuracy_drop_points is not None and verified.has_enough_images
                    else None
                ),
                _share(row.agreement, verified),
                word,
            )
            rows.append((*head, *figures))
        else:
            rows.append((*head, "fail: " + "; ".join(row.violations) if row else "not verified"))
    agreement = "top-1 agreement" if manifest.thresholds is None else "agreement"
    judged = "accuracy" if manifest.thresholds is None else "macro F1"
    header = ("file", "size", "of Keras's", judged, "points", agreement, "verify")
    return Section(
        "files", "The files", _judged(facts, judged), tables=[Table(header, rows, words=1)], tables_open=True
    )


def _share(value: float | None, verified: Verification) -> str:
    """Format a share of verify's images; too few images of a multi-label model, which allow no counts, get a dash."""
    is_dash = value is None or (verified.thresholds and not verified.has_enough_images)
    return NONE if is_dash or value is None else verified.share(value)


def _judged(facts: Facts, figure: str) -> str:
    """Say on which images the files were judged, and whether there were enough."""
    verified = facts.verified
    if verified is None:
        return ""
    names = f"{figure[0].upper()}{figure[1:]} and agreement" if verified.keras.score is not None else "Agreement"
    said = f"{names} on {verified.judged_on}{', which were held out' * _is_out_of_fold(facts)}."
    if verified.has_enough_images:
        return said
    return f"{said} Fewer than {MIN_IMAGES_FOR_VERDICT} images say too little for percentages."


def _is_out_of_fold(facts: Facts) -> bool:
    return facts.history is not None and facts.history.out_of_fold is not None
