"""The benchmark report ``benchmark.json``: written here on PC and device, read by ``pipeline.documents.benchmark``."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from runtime.benchmark.environment import Device, SystemState
from runtime.benchmark.measuring import BATCHES, Measured
from runtime.benchmark.photo import Photo
from runtime.benchmark.statistics import Latency, Ratio, images_per_s, latency_us, medians, ratio
from runtime.replay import ReplayResult

FORMAT, VERSION = "edgecnn-benchmark", 1
KERAS = ("keras", "keras-compiled")
"""Backend names of Keras; other contenders are compared with the faster of these."""
RECORDED = "as the file records it"


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement; ``images`` is ``None`` if contenders ran on the golden sets in their files."""

    rounds: int
    seconds: float
    batches: tuple[int, ...]
    images: int | None
    image_source: str
    photo: str


@dataclass(frozen=True)
class Conditions:
    """State of the machine before the first and after the last measurement."""

    before: SystemState
    after: SystemState


@dataclass(frozen=True)
class Missing:
    """The reason why a contender has no figures; ``failed`` is false if its engine is only not installed."""

    reason: str
    install: str
    failed: bool


@dataclass(frozen=True)
class Row:
    """One contender: a model file on an engine with a number of threads. If it has no figures, ``missing`` says why."""

    backend: str
    engine: str
    artifact: str
    threads: int
    missing: Missing | None
    bytes: int
    sha256: str
    latency_us: Latency | None = None
    images_per_s: dict[str, float] = field(default_factory=dict)
    load_ms: float | None = None
    first_result_ms: float | None = None
    cold_start_ms: float | None = None
    peak_memory_bytes: int | None = None
    ratio_to_best: Ratio | None = None
    ratio_to_keras: Ratio | None = None
    golden: ReplayResult | None = None
    agreement: float | None = None
    accuracy: float | None = None
    accuracy_images: int | None = None
    accuracy_on: str | None = None


@dataclass(frozen=True)
class EndToEnd:
    """The time from a photo file to its class with one contender: medians in microseconds."""

    artifact: str
    backend: str
    threads: int
    photo: Photo
    read_us: float
    decode_us: float
    resize_us: float
    inference_us: float
    total_us: float


@dataclass(frozen=True)
class Benchmark:
    """Content of ``benchmark.json``: the benchmark of one machine."""

    created: str
    revision: str | None
    name: str | None
    device: Device
    conditions: Conditions
    versions: dict[str, str]
    settings: Settings
    contenders: tuple[Row, ...]
    end_to_end: tuple[EndToEnd, ...]

    def to_json(self) -> str:
        """Return the content of the file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2) + "\n"


def compose(
    measured: Sequence[Measured],
    photo: Photo,
    *,
    labels: Sequence[int] | None = None,
    judged_on: str = "test images",
    **head: Any,
) -> Benchmark:
    """Compose the report.

    Args:
        measured: measurements of the contenders.
        photo: the photo of the end-to-end measurement.
        labels: class indices of the classified images; ``None``: accuracy is taken from the model files.
        judged_on: name of these images.
        head: ``device``, ``conditions``, ``versions``, ``settings``, ``revision`` and ``name``.
    """
    timed = [one for one in measured if one.reason is None]
    best = min(timed, key=_p50, default=None)
    keras = [one for one in timed if one.contender.backend in KERAS]
    fastest_keras = min(keras, key=_p50, default=None)
    expected = next((one.predicted for one in keras if one.predicted is not None), None)
    rows = []
    for one in measured:
        row = _identity(one)
        if one.reason is None:
            row = replace(
                row, **_timing(one), ratio_to_best=_ratio(one, best), ratio_to_keras=_ratio(one, fastest_keras),
                **_accuracy(one, labels, expected, judged_on),
            )  # fmt: skip
        rows.append(row)
    return Benchmark(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        contenders=tuple(rows),
        end_to_end=tuple(_end_to_end(one, photo) for one in timed if one.photo["total"]),
        **head,
    )


def _p50(one: Measured) -> float:
    return latency_us(one.rounds[1]).p50


def _ratio(one: Measured, other: Measured | None) -> Ratio | None:
    return None if other is None else ratio(medians(one.rounds[1]), medians(other.rounds[1]))


def _identity(one: Measured) -> Row:
    contender = one.contender
    content = contender.artifact.read_bytes()
    install = contender.install if contender.missing else ""
    return Row(
        backend=contender.backend,
        engine=contender.engine,
        artifact=contender.artifact.name,
        threads=contender.threads,
        missing=None if one.reason is None else Missing(one.reason, install, failed=not install),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _timing(one: Measured) -> dict[str, Any]:
    return {
        "latency_us": latency_us(one.rounds[1]),
        "images_per_s": {str(batch): images_per_s(one.rounds[batch], batch) for batch in BATCHES},
        **one.started(),
    }


def _accuracy(one: Measured, labels: Sequence[int] | None, expected: Any, judged_on: str) -> dict[str, Any]:
    """Return the accuracy on the labeled images, or else the one stored in the file; and the golden set's result."""
    start = one.starts[-1]
    if labels is None or one.predicted is None:
        return {
            "golden": one.golden,
            "accuracy": start.accuracy,
            "accuracy_images": start.accuracy_images,
            "accuracy_on": None if start.accuracy is None else f"{start.accuracy_on}, {RECORDED}",
        }
    return {
        "golden": one.golden,
        "accuracy": float(np.mean(one.predicted == np.asarray(labels))),
        "accuracy_images": len(labels),
        "accuracy_on": judged_on,
        "agreement": None if expected is None else float(np.mean(one.predicted == expected)),
    }


def _end_to_end(one: Measured, photo: Photo) -> EndToEnd:
    contender = one.contender
    parts = {f"{part}_us": float(np.median(ns)) / 1e3 for part, ns in one.photo.items()}
    return EndToEnd(contender.artifact.name, contender.backend, contender.threads, photo, **parts)
