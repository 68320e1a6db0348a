"""The tables of ``docs/training.md``: the networks, and the record of training experiments, one row for each run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.documents.verify import VerificationSummary
from pipeline.errors import PipelineError
from pipeline.models import PRESETS, build, summarize
from pipeline.text import table
from pipeline.training.settings import Settings

EXPERIMENTS = Path("docs/experiments.json")
DOCUMENT = Path("docs/training.md")
SHIPPED = {
    "notes": artifacts.REFERENCE_DIR,
    "resnet8": artifacts.REFERENCE_DIR / "resnet8",
    "vgg8": artifacts.REFERENCE_DIR / "vgg8",
    "separable": artifacts.REFERENCE_DIR / "separable",
}
"""Networks whose trained weights are in the repository, and their folders."""
SHOWN_ELSEWHERE = ("model", "epochs")

Row = dict[str, Any]


def row_of(train_folder: Path, note: str) -> Row:
    """Make a row from the ``history.json`` of a finished run.

    Raises:
        PipelineError: the folder has no finished run.
    """
    history = History.read(train_folder)
    if history.images is None or not history.epochs:
        raise PipelineError(f"{train_folder / History.FILE}: of no finished run; give a folder that train wrote")
    return {
        "note": note,
        "settings": {**asdict(Settings()), **history.settings},
        "teacher_sha256": history.teacher_sha256,
        "initial_model_sha256": history.initial_model_sha256,
        "epochs_done": len(history.epochs),
        "best_epoch": history.best_epoch,
        "validation_accuracy": history.validation_accuracy,
        "validation_images": history.images.validation,
        "minutes": round(sum(record.seconds for record in history.epochs) / 60, 1),
    }


def read(path: Path = EXPERIMENTS) -> list[Row]:
    """Read all rows so far."""
    rows: list[Row] = artifacts.read_json(path) if path.exists() else []
    return rows


def markdown_table(rows: list[Row]) -> str:
    """Format the rows by model, the most accurate first."""
    header = ["model", "validation accuracy", "epochs", "minutes", "settings that differ from the defaults", "note"]
    cells = [
        [
            row["settings"]["model"],
            _accuracy(row),
            str(row["epochs_done"]),
            f"{row['minutes']:.0f}",
            _differences(row),
            row["note"],
        ]
        for row in sorted(rows, key=lambda row: (row["settings"]["model"], -row["validation_accuracy"]))
    ]
    return table(header, cells, "lrrrl")


def _accuracy(row: Row) -> str:
    return f"{row['validation_accuracy']:.2%} of {row['validation_images']:,}"


def _differences(row: Row) -> str:
    defaults = asdict(Settings())
    parts = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in row["settings"].items()
        if name not in SHOWN_ELSEWHERE and value != defaults.get(name)
    ]
    if row["teacher_sha256"]:
        parts.append(f"teacher {row['teacher_sha256'][:8]}")
    if initial := row.get("initial_model_sha256"):
        parts.append(f"initial model {initial[:8]}")
    return ", ".join(parts) or "none"


def networks_table(experiments: list[Row]) -> str:
    """Format the presets for ten classes of 32x32 images: size, cost, and the best validation accuracy so far."""
    header = ["`--model`", "parameters", "multiply-accumulates", "int8 weight bytes", "best experiment", "what it is"]
    rows = []
    for name, preset in PRESETS.items():
        own = [row for row in experiments if row["settings"]["model"] == name]
        best = max(own, key=lambda row: row["validation_accuracy"], default=None)
        layers = summarize(build(name))
        totals = (
            f"{sum(getattr(layer, figure) for layer in layers):,}"
            for figure in ("parameters", "multiply_accumulates", "int8_bytes")
        )
        rows.append([f"`{name}`", *totals, _accuracy(best) if best else "none", preset.purpose])
    return table(header, rows, "lrrrrl")


def shipped_table() -> str:
    """Format the test accuracy of the shipped networks, from the ``verify.json`` beside each."""
    header = ["`--model`", "test images", "Keras", "int8 ONNX", "int8 TFLite", "KiB of each"]
    rows = []
    for name, folder in SHIPPED.items():
        verified = VerificationSummary.read(folder)
        files = [verified.artifacts[file] for file in (artifacts.INT8_ONNX, artifacts.INT8_TFLITE)]
        accuracies = (f"{share:.2%}" for share in (verified.keras_accuracy, *(file.accuracy for file in files)))
        sizes = ", ".join(f"{file.bytes / 1024:.0f}" for file in files)
        rows.append([f"`{name}`", f"{verified.images:,}", *accuracies, sizes])
    return table(header, rows)


def publish(rows: list[Row], path: Path = EXPERIMENTS, document: Path = DOCUMENT) -> None:
    """Write the rows to ``path`` and the tables between their markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "networks", networks_table(rows))
    replace_marked(document, "shipped", shipped_table())
    replace_marked(document, "experiments", markdown_table(rows))
