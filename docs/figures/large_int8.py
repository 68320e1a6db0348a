"""Measure int8 of a large network for ``docs/quantization.md``: EfficientNet-Lite0 and 1,000 photos, one per class.

Half of the photos calibrate, the other half is the validation set. Photos are preprocessed as by the weights' authors:
the middle square of 0.875 of the shorter side, resized with the bicubic filter.
"""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.manifest import Candidate, Manifest
from pipeline.errors import PipelineError
from pipeline.metrics.significance import share_interval
from pipeline.text import table
from runtime.benchmark.environment import describe_device

if TYPE_CHECKING:
    import keras

FIGURES = Path("docs/large-int8.json")
DOCUMENT = Path("docs/quantization.md")
CLASSES, CENTER, USUAL_SIDE = 1_000, 0.875, 224
SHOWN = {"summary", "stage", "accuracy", "lost_points", "agreement", "mean_difference", "violations"}
GOAL_POINTS, GOAL_AGREEMENT = 0.3, 0.985

Row = dict[str, Any]


def read_photos(
    folder: Path, side: int, take: int = CLASSES
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read the photos, uint8 (N, side, side, 3), the class of each, and all classes, which are the files' names.

    Args:
        folder: contains one photo per class.
        side: in pixels.
        take: number of photos N, chosen evenly.

    Raises:
        PipelineError: the folder does not have 1,000 photos.
    """
    paths = sorted(folder.glob("*.jpg"), key=lambda path: path.name)
    if len(paths) != CLASSES:
        raise PipelineError(f"{folder}: {len(paths):,} .jpg files; expected 1,000, one of each class of ImageNet")
    labels = np.arange(take) * CLASSES // take
    pixels = np.empty((take, side, side, 3), np.uint8)
    for own, label in zip(pixels, labels, strict=True):
        with Image.open(paths[label]) as photo:
            width, height = photo.size
            margin = CENTER * min(width, height) / 2
            box = (width / 2 - margin, height / 2 - margin, width / 2 + margin, height / 2 + margin)
            own[...] = np.asarray(photo.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box))
    return pixels, labels, tuple(path.stem for path in paths)


def network(side: int) -> "keras.Model":
    """Build EfficientNet-Lite0 for images of any side; its weights do not depend on the side."""
    from pipeline.models.efficientnet_lite import build
    from pipeline.models.pretrained import DEFAULT, pretrained

    model = build(side)
    model.set_weights(pretrained(DEFAULT, USUAL_SIDE).get_weights())
    return model


def measure(folder: Path, side: int, take: int = CLASSES, *, quick: bool) -> Row:
    """Export with one half of the photos for calibration and the other for validation; return results and cost."""
    from pipeline.data.dataset import Dataset
    from pipeline.export import Settings, export
    from pipeline.export.load.model import Source

    pixels, labels, names = read_photos(folder, side, take)
    calibration, validation = (Dataset(pixels[half::2], labels[half::2], names) for half in (0, 1))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / artifacts.MODEL_KERAS
        network(side).save(path)
        start, begun = time.process_time(), time.monotonic()
        manifest = export(
            Source(path, class_names=names),
            Path(scratch) / "out",
            calibration,
            validation,
            Settings(quick=quick),
        )
        seconds, processor = time.monotonic() - begun, time.process_time() - start
    return _row(manifest, side, quick, seconds, processor)


def publish(rows: list[Row], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the rows to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "large-int8", tables(rows))


def tables(rows: list[Row]) -> str:
    """Format the quality of each file, and the cost of the export."""
    header = ["side", "export", "file", "config", "accuracy (95 %)", "points lost", "agreement", "mean difference", ""]
    lines = [
        [str(row["side"]), _way(row), f"`{name}`", candidate["summary"], *_figures(row, candidate), _verdict(candidate)]
        for row in rows
        for name, decision in row["files"].items()
        for candidate in decision["shown"]
    ]
    costs = [
        [
            str(row["side"]),
            _way(row),
            stage["stage"],
            f"{stage['processor_seconds']:.0f}" if "processor_seconds" in stage else "",
            f"{stage['seconds']:.0f}",
            f"{stage['peak_mib'] / 1024:.2f}",
        ]
        for row in rows
        for stage in [
            *row["stages"],
            {
                "stage": "all",
                "seconds": row["seconds"],
                "processor_seconds": row["processor_seconds"],
                "peak_mib": max(cost["peak_mib"] for cost in row["stages"]),
            },
        ]
    ]
    keras = "; ".join(
        f"{with_interval(row['keras_accuracy'], row['judged'])} at {row['side']} pixels of {row['judged']} photos, "
        f"{row['processor_seconds']:.0f} s of processor time for the export ({_way(row)})"
        for row in rows
    )
    return "\n\n".join(
        [
            table(header, lines, "rlll"),
            f"Keras: {keras}. {rows[0]['cpu'] if rows else ''}.",
            table(["side", "export", "stage", "processor (s)", "clock (s)", "peak (GiB)"], costs, "rllr"),
        ]
    )


def _row(manifest: Manifest, side: int, quick: bool, seconds: float, processor: float) -> Row:  # noqa: FBT001 - one caller
    return {
        "side": side,
        "quick": quick,
        "cpu": describe_device().cpu,
        "calibration": manifest.calibration.images,
        "judged": manifest.validation.images,
        "keras_accuracy": manifest.validation.keras_accuracy,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "stages": [cost.model_dump() for cost in manifest.stages],
        "files": {
            name: {
                "summary": decision.summary,
                "tried": len(decision.candidates),
                "shown": [
                    {**candidate.model_dump(mode="json", include=SHOWN), "chosen": candidate is decision.winner}
                    for candidate in decision.candidates
                    if _is_shown(candidate, decision.winner)
                ],
            }
            for name, decision in manifest.decisions.items()
        },
    }


def _is_shown(candidate: Candidate, winner: Candidate | None) -> bool:
    """Return whether a candidate is the winner, or of a stage whose candidates are all shown."""
    return candidate is winner or candidate.stage in ("default", "bias correction", "structure")


def _way(row: Row) -> str:
    return "quick" if row["quick"] else "search"


def _figures(row: Row, candidate: Row) -> list[str]:
    accuracy = with_interval(candidate["accuracy"], row["judged"])
    difference = f"{candidate['mean_difference']:.1e}"
    return [accuracy, f"{candidate['lost_points']:.1f}", f"{candidate['agreement']:.1%}", difference]


def _verdict(candidate: Row) -> str:
    good = candidate["lost_points"] <= GOAL_POINTS and candidate["agreement"] >= GOAL_AGREEMENT
    words = "**chosen**" if candidate["chosen"] else ""
    return f"{words}{', ' if words else ''}goal {'met' if good else 'missed'}"


def with_interval(share: float, images: int) -> str:
    """Format a share (0-1) of ``images`` in percent, with its 95 % interval."""
    low, high = share_interval(share, images)
    return f"{share:.1%} ({low:.1%} to {high:.1%})"
