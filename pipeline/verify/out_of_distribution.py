"""Measure how well a model file detects out-of-distribution pictures (of none of its classes): ``known.json``."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data import synthetic
from pipeline.data.dataset import Dataset
from pipeline.documents.known import Familiarity, Known, OutOfDistribution
from pipeline.documents.shares import interval_of, share_of
from pipeline.errors import DataError
from pipeline.export import familiarity
from pipeline.metrics.classification import auroc
from pipeline.metrics.significance import wilson
from runtime.engines.load import load_model
from runtime.errors import ImageError
from runtime.image.load import load_pixels
from runtime.photo_files import list_photos
from runtime.spec import NONE_CLASS, ModelSpec
from runtime.text import say

BINS = 30


def judge_folder(
    folder: Path, names: Iterable[str], photos: Dataset, part: str, unknown: Path | None = None
) -> Known | None:
    """Judge model files of a folder and write ``known.json`` there; delete it if no file gives familiarity scores.

    Args:
        folder: of the files.
        names: of the files; missing files are skipped.
        photos: of their classes.
        part: which part of the data the photos are: test or validation.
        unknown: see ``judge``.
    """
    found = {name: judge(folder / name, photos, unknown) for name in names if (folder / name).is_file()}
    judged = {name: one for name, one in found.items() if one}
    if not judged:
        (folder / artifacts.KNOWN).unlink(missing_ok=True)
        return None
    report = Known(part=part, files=judged)
    report.write(folder)
    return report


def judge(model: Path, photos: Dataset, unknown: Path | None = None) -> Familiarity | None:
    """Judge a file on photos of its classes and on out-of-distribution pictures; ``None`` if it gives no scores.

    Args:
        model: a model file.
        photos: of its classes, used neither for training nor for a choice; the class ``none`` is out of distribution.
        unknown: a folder of photos that show none of the classes; synthetic textures are always judged, too.

    Raises:
        DataError: no photo in ``unknown`` can be read.
    """
    _, spec, _, scored = load_model(model, 1, None)
    if scored is None or spec.known_threshold is None:
        return None
    say(f"{model.name}: measuring which images it takes for known ones")
    own, others = familiarity.divide(photos)
    kinds = {unknown.name or "elsewhere": _read(unknown, spec)} if unknown else {}
    kinds |= {NONE_CLASS: others} if len(others) else {}
    kinds |= synthetic.textures(spec.shape[:2])
    familiar = familiarity.scores(scored, own)
    strange = {kind: familiarity.scores(scored, pixels) for kind, pixels in kinds.items()}
    threshold, common = spec.known_threshold, familiarity.threshold_for_share(familiar, familiarity.KEEP)
    edges = _edges(np.concatenate([familiar, *strange.values()]), threshold)
    return Familiarity(
        sha256=artifacts.sha256(model.read_bytes()),
        threshold=threshold,
        photos=len(familiar),
        known=int((familiar >= threshold).sum()),
        edges=tuple(map(float, edges)),
        counts=_counts(familiar, edges),
        out_of_distribution=tuple(
            OutOfDistribution(
                kind=kind,
                pictures=len(found),
                accepted=int((found >= threshold).sum()),
                auroc=auroc(familiar, found),
                false_positives=float((found >= common).mean()),
                counts=_counts(found, edges),
            )
            for kind, found in strange.items()
        ),
    )


def _edges(scores: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
    """Compute the edges of equally wide bins that cover all scores; the threshold is one of the edges."""
    low, high = min(float(scores.min()), threshold), max(float(scores.max()), threshold)
    width = (high - low) / BINS or 1.0
    below, above = (int(span / width) + 1 for span in (threshold - low, high - threshold))
    edges: NDArray[np.float64] = threshold + width * np.arange(-below, above + 1, dtype=np.float64)
    return edges


def _counts(scores: NDArray[np.float32], edges: NDArray[np.floating]) -> tuple[int, ...]:
    return tuple(np.histogram(scores, edges)[0].tolist())


def format_familiarity(judged: dict[str, Familiarity]) -> str:
    """Format the results, file name -> familiarity, as a table."""
    lines = ["file               pictures            of them known  95 %             AUROC  known at 95 %"]
    for name, one in judged.items():
        rows: Sequence[tuple[str, int, int, str]] = [
            ("its classes", one.photos, one.known, ""),
            *(
                (
                    each.kind,
                    each.pictures,
                    each.accepted,
                    f"  {each.auroc:.3f}  {share_of(each.false_positives, each.pictures, 1)}",
                )
                for each in one.out_of_distribution
            ),
        ]
        for kind, pictures, known, more in rows:
            share, interval = share_of(known / pictures, pictures, 1), interval_of(wilson(known, pictures), pictures, 1)
            lines.append(f"{name:<18} {kind[:13]:<13} {pictures:5,} {share:>14}  {interval:<16}{more}".rstrip())
    lines.append(
        "Known at 95 %: share taken for known with the threshold that 95 % of the photos of its classes reach."
    )
    return "\n".join(lines)


def _read(folder: Path, spec: ModelSpec) -> NDArray[np.uint8]:
    pixels = []
    for photo in list_photos(folder).photos if folder.is_dir() else []:
        try:
            pixels.append(load_pixels(photo.path, spec))
        except ImageError:
            continue
    if not pixels:
        raise DataError(
            f"{folder}: no photo that can be read; expected a folder of photos that show none of the classes"
        )
    return np.stack(pixels)
