"""Compare the probabilities of a board with those of the PC, file by file."""

import subprocess
from pathlib import Path

import numpy as np

from pipeline.text import table as markdown_table

SCRIPT = Path(__file__).with_name("predict.py")
FP32_LIMIT = 1e-5
"""In any probability; int8 files are held to the criteria of the manifest, as they are against Keras."""


def predict(python, models: Path, images: Path, out: Path) -> dict[str, np.ndarray]:
    """The probabilities of the files on this machine; see predict.py."""
    subprocess.run([python, str(SCRIPT), str(models), str(images), str(out)], check=True)
    return read(out)


def read(path: Path) -> dict[str, np.ndarray]:
    """The probabilities by file, float32 (N, C)."""
    with np.load(path) as answers:
        return dict(answers)


def compare(name: str, board: np.ndarray, desk: np.ndarray, criteria: dict[str, float]) -> dict[str, object]:
    """One row of the table; ``within`` says whether the difference is within the tolerance."""
    differences = np.abs(board - desk)
    row = {
        "file": name,
        "images": len(desk),
        "max_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "agreement": float((board.argmax(axis=1) == desk.argmax(axis=1)).mean()),
    }
    if "fp32" in name:
        return row | {"within": row["max_difference"] <= FP32_LIMIT}
    within = row["mean_difference"] <= criteria["max_mean_difference"] and row["agreement"] >= criteria["min_agreement"]
    return row | {"within": within}


def table(rows: list[dict[str, object]]) -> str:
    """The rows as Markdown."""
    header = ["processor", "file", "images", "largest difference", "mean difference", "same class"]
    cells = [
        [
            str(row["processor"]),
            f"`{row['file']}`",
            f"{row['images']:,}",
            f"{row['max_difference']:.1e}",
            f"{row['mean_difference']:.1e}",
            f"{row['agreement']:.2%}",
        ]
        for row in rows
    ]
    note = "Differences are of probabilities (0-1), between the emulated ARM processor and x86."
    return f"{markdown_table(header, cells, 'llr')}\n\n{note}"
