"""The names of all files that commands write, and functions that write files atomically."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.system import writing

MODEL_KERAS = "model.keras"
HISTORY = "history.json"
HISTORY_CSV = "history.csv"
CURVES = "curves.png"
PROGRESS = "unfinished.npz"
TRAINING_LOCK = ".training.lock"
SEARCH_JOURNAL = "search.journal"
SEARCH_TRIALS = "search"
TENSORBOARD = "tensorboard"
MANIFEST = "manifest.json"
VERIFY = "verify.json"
KNOWN = "known.json"
BENCHMARK = "benchmark.json"
DRIFT = "drift.json"
MISTAKES = "mistakes.json"
REPORT_PAGE = "report.html"
REPORT_TABLE = "report.md"
EVALUATION = "evaluation.json"
CONFUSION_FIGURE = "confusion.png"
CALIBRATION_FIGURE = "calibration.png"
SAMPLES = "samples.json"
CALIBRATION_SHEET = "calibration.webp"
VALIDATION_SHEET = "validation.webp"
TEST_SHEET = "test.webp"

FP32_ONNX = "model_fp32.onnx"
INT8_ONNX = "model_int8.onnx"
FP32_TFLITE = "model_fp32.tflite"
INT8_TFLITE = "model_int8.tflite"

REFERENCE_DIR = Path(__file__).parent.parent / "artifacts" / "reference"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Write as ``runtime.system.writing.atomic_path``, but make the folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing.atomic_path(path) as temporary:
        yield temporary


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(content: bytes | memoryview) -> str:
    """Return the hex SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()
