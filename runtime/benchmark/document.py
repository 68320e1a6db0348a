"""``benchmark.json``, the same on desk and device."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from runtime.benchmark.figures import images_per_s, latency_us, medians, ratio
from runtime.benchmark.measuring import BATCHES, Measured

FORMAT, VERSION = "edgecnn-benchmark", 1
KERAS = ("keras", "keras-compiled")
"""The ways of calling Keras; what is held against Keras is held against the faster of them."""


def compose(
    seen: Sequence[Measured],
    photo: dict[str, Any],
    *,
    labels: Sequence[int] | None = None,
    judged_on: str = "test images",
    **head: Any,
) -> dict[str, Any]:
    """The document.

    Args:
        seen: what was measured.
        photo: what ``describe_photo`` says.
        labels: of the images that were classified, if any were.
        judged_on: what these images are.
        head: ``device``, ``conditions``, ``versions``, ``settings``, ``revision`` and ``name``.
    """
    timed = [one for one in seen if one.reason is None]
    best = min(timed, key=_p50, default=None)
    keras = [one for one in timed if one.contender.backend in KERAS]
    fastest_keras = min(keras, key=_p50, default=None)
    expected = next((one.answers for one in keras if one.answers is not None), None)
    rows = []
    for one in seen:
        row = _identity(one)
        if one.reason is None:
            row |= _timing(one) | {
                "ratio_to_best": _ratio(one, best),
                "ratio_to_keras": _ratio(one, fastest_keras),
                **_judgement(one, labels, expected, judged_on),
            }
        rows.append(row)
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **head,
        "contenders": rows,
        "end_to_end": [_end_to_end(one, photo) for one in timed if one.photo["total"]],
    }


def _p50(one: Measured) -> float:
    return latency_us(one.rounds[1])["p50"]


def _ratio(one: Measured, other: Measured | None) -> dict[str, float] | None:
    return None if other is None else ratio(medians(one.rounds[1]), medians(other.rounds[1]))


def _identity(one: Measured) -> dict[str, Any]:
    contender = one.contender
    content = contender.artifact.read_bytes()
    install = contender.install if contender.missing else ""
    missing = {"reason": one.reason, "install": install, "failed": not install}
    return {
        "backend": contender.backend,
        "engine": contender.engine,
        "artifact": contender.artifact.name,
        "threads": contender.threads,
        "missing": None if one.reason is None else missing,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _timing(one: Measured) -> dict[str, Any]:
    return {
        "latency_us": latency_us(one.rounds[1]),
        "images_per_s": {str(batch): images_per_s(one.rounds[batch], batch) for batch in BATCHES},
        **one.started(),
    }


def _judgement(one: Measured, labels: Sequence[int] | None, expected: Any, judged_on: str) -> dict[str, Any]:
    told = one.starts[-1]
    row: dict[str, Any] = {"golden": one.golden, "agreement": None, "accuracy_on": None}
    if labels is None or one.answers is None:
        known = told.get("accuracy") is not None
        row |= {"accuracy": told.get("accuracy"), "accuracy_images": told.get("accuracy_images")}
        return row | ({"accuracy_on": "validation images, as the file records it"} if known else {})
    row |= {"accuracy": float(np.mean(one.answers == np.asarray(labels))), "accuracy_images": len(labels)}
    row |= {"agreement": None if expected is None else float(np.mean(one.answers == expected))}
    return row | {"accuracy_on": judged_on}


def _end_to_end(one: Measured, photo: dict[str, Any]) -> dict[str, Any]:
    contender = one.contender
    named = {"artifact": contender.artifact.name, "backend": contender.backend, "threads": contender.threads}
    return named | {"photo": photo} | {f"{part}_us": float(np.median(ns)) / 1e3 for part, ns in one.photo.items()}
