"""The table of ``docs/own-photos.md``: how good networks are that were fitted to photo sets, one row a set."""

from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.documents.verify import Verification
from pipeline.errors import PipelineError
from pipeline.metrics.significance import share_interval
from pipeline.report.markdown import table

FIGURES = Path("docs/own-photos.json")
DOCUMENT = Path("docs/own-photos.md")

Row = dict[str, Any]


def row_of(folder: Path) -> Row:
    """What is kept of a folder that train, and perhaps export and verify, wrote.

    Raises:
        PipelineError: no network that was fitted to few photos.
    """
    history = History.read(folder)
    found = history.out_of_fold
    if found is None or history.images is None or history.data is None:
        raise PipelineError(f"{folder / History.FILE}: without out-of-fold accuracy; give a folder of train --data DIR")
    verified = Verification.read(folder) if (folder / artifacts.VERIFY).is_file() else None
    return {
        "photos": Path(history.data).name,
        "settings": history.settings,
        "classes": len(history.class_names or ()),
        "out_of_fold": found.model_dump(include={"accuracy", "images", "folds", "repeats"}),
        "held_out": {"accuracy": history.validation_accuracy, "images": history.images.validation},
        "int8": {name: row.accuracy for name, row in verified.measured.items() if "int8" in name} if verified else {},
    }


def publish(rows: list[Row], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Keep the rows in ``path`` and draw the table between its markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "photos", photos_table(rows))


def photos_table(rows: list[Row]) -> str:
    """Accuracy of each set with its number of photos and 95 % interval."""
    header = ["photos", "classes", "network", "side", "views", "out of fold", "held out", "int8 ONNX", "int8 TFLite"]
    cells = [
        [
            row["photos"],
            str(row["classes"]),
            str(row["settings"]["model"]),
            str(row["settings"]["side"]),
            str(row["settings"]["views"]),
            _share(row["out_of_fold"]),
            _share(row["held_out"]),
            *(
                f"{row['int8'][name]:.1%}" if name in row["int8"] else "not exported"
                for name in (artifacts.INT8_ONNX, artifacts.INT8_TFLITE)
            ),
        ]
        for row in rows
    ]
    return table(header, cells, "lrlrrllrr")


def _share(measured: dict[str, Any]) -> str:
    low, high = share_interval(measured["accuracy"], measured["images"])
    return f"{measured['accuracy']:.1%} of {measured['images']:,} ({low:.1%} to {high:.1%})"
