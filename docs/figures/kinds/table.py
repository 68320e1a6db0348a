"""Write the table of ``docs/kinds.md`` from ``docs/kinds.json``."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from docs.figures.kinds.examine import examine
from docs.figures.kinds.models import Kind
from pipeline import artifacts
from pipeline.text import table

FIGURES, DOCUMENT = Path("docs/kinds.json"), Path("docs/kinds.md")
HEADER = ("kind", "Keras", "fp32 ONNX", "int8 ONNX", "fp32 TFLite", "int8 TFLite")
FILES = (artifacts.FP32_ONNX, artifacts.INT8_ONNX, artifacts.FP32_TFLITE, artifacts.INT8_TFLITE)


def missing(kinds: Sequence[Kind]) -> list[Kind]:
    """Return the kinds that the figures lack."""
    known = {entry["kind"] for entry in artifacts.read_json(FIGURES)["kinds"]} if FIGURES.is_file() else set()
    return [kind for kind in kinds if kind.name not in known]


def measure(kinds: Sequence[Kind], order: Sequence[str]) -> None:
    """Train and export each kind; after each one, write the figures and the table in the order of names ``order``."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            known = artifacts.read_json(FIGURES)["kinds"] if FIGURES.is_file() else []
            by_name = {entry["kind"]: entry for entry in known} | {kind.name: examine(kind, Path(folder))}
            publish({"kinds": [by_name[name] for name in order if name in by_name]})


def markdown(figures: dict[str, Any]) -> str:
    """Format the table, and below it the reasons for files that were not written."""
    rows, said = [], []
    for entry in figures["kinds"]:
        files = entry["files"]
        cells = [_cell(files.get(name)) for name in FILES]
        rows.append([entry["kind"], f"{entry['keras']:.1%}", *cells])
        if entry["refused"]:
            said.append(f"- {entry['kind']}: {entry['refused']}")
        said += [f"- {entry['kind']}, `{name}`: {why}" for name, why in entry["failed"].items()]
    photos = sorted({entry["photos"] for entry in figures["kinds"]})
    legend = (
        f"Accuracy on {' or '.join(map(str, photos))} photos, and on how many of them the file names Keras's class. Of "
        "several labels, all of a photo's have to be right, or Keras's; Keras's are those of a probability of one half "
        "or more, a file's those that reach the thresholds that export has chosen."
    )
    return "\n\n".join([table(HEADER, rows), legend, "Not written:", "\n".join(said) or "nothing"])


def _cell(scores: dict[str, float] | None) -> str:
    return f"{scores['accuracy']:.1%} ({scores['agreement']:.1%})" if scores else "-"


def publish(figures: dict[str, Any]) -> None:
    """Write the figures and the table."""
    artifacts.write_json(FIGURES, figures)
    replace_marked(DOCUMENT, "kinds", markdown(figures))
