"""Write the table of ``docs/own-photos.md``: accuracy of networks fitted to photo sets, a row for each set."""

from pathlib import Path
from typing import Any

import numpy as np

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.documents.verify import Verification
from pipeline.errors import PipelineError
from pipeline.metrics.classification import accuracy
from pipeline.metrics.significance import share_interval
from pipeline.text import table

FIGURES = Path("docs/own-photos.json")
DOCUMENT = Path("docs/own-photos.md")

A_CLASS, DRAWS = 20, 5

Row = dict[str, Any]


def row_of(folder: Path) -> Row:
    """Make a row from a folder that train, and optionally export and verify, wrote.

    Raises:
        PipelineError: the folder has no network that was fitted to photos.
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
        "out_of_fold": found.model_dump(include={"accuracy", "images", "low", "high", "effective", "folds", "repeats"}),
        "held_out": {"accuracy": history.validation_accuracy, "images": history.images.validation},
        "int8": {name: row.accuracy for name, row in verified.measured.items() if "int8" in name} if verified else {},
    }


def opened_of(folder: Path) -> Row:
    """Make a row from the result of training the last stages, in a folder that ``train --open-stages`` wrote.

    Raises:
        PipelineError: the last stages were not trained there.
    """
    history = History.read(folder)
    if history.opened is None or history.data is None:
        raise PipelineError(f"{folder / History.FILE}: no last stages were opened; give a folder of --open-stages")
    views = history.settings["views"]
    return {"photos": Path(history.data).name, "opened": {"views": views, **history.opened.model_dump(by_alias=True)}}


def student_of(folder: Path) -> Row:
    """Make a row from student and teacher, in a folder that ``train --student`` wrote.

    Raises:
        PipelineError: no student was trained there.
    """
    history = History.read(folder)
    if len(history.contenders) != 2 or history.data is None:
        raise PipelineError(f"{folder / History.FILE}: no student and teacher; give a folder of --student")
    student, teacher = (row.model_dump() for row in history.contenders)
    learned = {"epochs": len(history.epochs), "seconds": round(sum(row.seconds for row in history.epochs))}
    return {"photos": Path(history.data).name, "student": {**student, **learned}, "teacher": teacher}


def few_shots(folder: Path, a_class: int = A_CLASS, draws: int = DRAWS) -> Row:
    """Measure the held-out accuracy of networks fitted to ``a_class`` photos per class, drawn ``draws`` times."""
    from pipeline.data.folder import load
    from pipeline.data.photo_settings import recorded
    from pipeline.training.transfer import head
    from pipeline.training.transfer.backbone import named
    from pipeline.training.transfer.features import features

    history = History.read(folder)
    photos = load(Path(str(history.data)), recorded(folder / artifacts.MODEL_KERAS))
    backbone = named(str(history.settings["model"]), photos.training.side)
    seen = features(backbone, photos.training.pixels, range(int(history.settings["views"])))
    held_out, labels = features(backbone, photos.validation.pixels, [0])[0], photos.training.labels
    shares = []
    for draw in range(draws):
        random = np.random.default_rng(draw)
        chosen = np.concatenate(
            [random.permutation(np.flatnonzero(labels == label))[:a_class] for label in np.unique(labels)]
        )
        fitted = head.fit(seen[:, chosen], labels[chosen], len(photos.training.class_names))
        shares.append(accuracy(fitted.logits(held_out), photos.validation.labels))
    return {"a_class": a_class, "accuracy": shares, "images": len(photos.validation)}


def renewed(new: list[Row], kept: list[Row]) -> list[Row]:
    """Replace kept rows of the same photos by new ones; entries that only the kept row has, such as ``few``, stay."""
    before = {row["photos"]: row for row in kept}
    merged = before | {row["photos"]: before.get(row["photos"], {}) | row for row in new}
    return [merged[name] for name in sorted(merged)]


def publish(rows: list[Row], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the rows to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "photos", photos_table(rows))


def photos_table(rows: list[Row]) -> str:
    """Format the accuracy on each set with its number of photos and 95 % interval."""
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
                _share({**row["held_out"], "accuracy": row["int8"][name]}) if name in row["int8"] else "not exported"
                for name in (artifacts.INT8_ONNX, artifacts.INT8_TFLITE)
            ),
        ]
        for row in rows
    ]
    return "\n\n".join(
        [
            table(header, cells, "lrlrrllll"),
            *(_few(row) for row in rows if "few" in row),
            *(_opened(row) for row in rows if "opened" in row),
            *(_student(row) for row in rows if "student" in row),
        ]
    )


def _opened(row: Row) -> str:
    found = row["opened"]
    return (
        f"With `--open-stages` on *{row['photos']}* ({found['views']} views, {found['epochs']} epochs), "
        f"{found['opened']:.1%} of {found['images']:,} photos are right out of fold, with a new last layer alone "
        f"{found['frozen']:.1%} "
        f"(p = {found['p_value']:.2g}): {'kept' if found['kept'] else 'not kept'}."
    )


def _student(row: Row) -> str:
    small, large = row["student"], row["teacher"]
    gap, smaller, less, faster = (
        100 * (large["accuracy"] - small["accuracy"]),
        *(large[name] / small[name] for name in ("int8_bytes", "multiply_accumulates", "fp32_latency_ms")),
    )
    return (
        f"`--student {small['model']} --side {small['side']}` on *{row['photos']}* ({small['epochs']} epochs, "
        f"{small['seconds'] / 60:.0f} minutes of training): {_share(small)} of the held-out photos are answered right, "
        f"by its teacher {_share(large)}: {abs(gap):.1f} points {'less' if gap > 0 else 'more'}, "
        f"for {smaller:.1f} times fewer bytes in int8, {less:.1f} times less arithmetic "
        f"and {faster:.1f} times less time in float32 on one thread."
    )


def _few(row: Row) -> str:
    few = row["few"]
    mean = sum(few["accuracy"]) / len(few["accuracy"])
    return (
        f"With {few['a_class']} photos a class of *{row['photos']}*, drawn {len(few['accuracy'])} times, the held-out "
        f"{few['images']:,} are answered {mean:.1%} right on average ({min(few['accuracy']):.1%} to "
        f"{max(few['accuracy']):.1%})."
    )


def _share(measured: dict[str, Any]) -> str:
    low, high = measured.get("low"), measured.get("high")
    if low is None or high is None:
        low, high = share_interval(measured["accuracy"], measured["images"])
    return f"{measured['accuracy']:.1%} of {measured['images']:,} ({low:.1%} to {high:.1%})"
