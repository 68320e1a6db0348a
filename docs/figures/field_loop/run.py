"""Run the labeling loop: train and export, let a device see photos, label frames, fit networks again."""

import json
import random
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docs.figures.field_loop.networks import Judge
from docs.figures.field_loop.photos import NONE, Division, Photo, divide
from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.errors import PipelineError
from pipeline.label import Queue, serving
from pipeline.label.server import HEADER
from pipeline.verify.compare import compare_correct
from runtime import Classifier

LABELS = 30
BETWEEN_S = 1.05
"""Seconds between two frames: ``--keep`` writes at most one frame per second."""


def run_loop(photos: Path, unknown: Path, work: Path, draws: int, seed: int = 0) -> dict[str, Any]:
    """Run the loop once; see ``docs.figures.field_loop``.

    Args:
        photos: folder with ``train/CLASS/`` and ``val/CLASS/``.
        unknown: folder of photos that show none of the classes.
        work: an empty folder, or that of an earlier run, whose first model is reused.
        draws: how often labels are drawn at random.
        seed: of all random choices.

    Returns:
        The JSON document: results of the network without new labels, with those of the loop, and with random ones.
    """
    division = divide(photos, unknown, seed)
    before = build(division.training, work / "before")
    seen = watch(before, division.seen, work / "frames")
    kept = len(list((work / "frames").glob("*.jpg")))
    offered = label(work / "frames", work / "labeled", division)
    with Classifier(before) as classifier:
        judge_all = Judge(division, classifier.spec)
    old = judge_all.answers([])
    loop = judge_all.answers(offered)
    drawn = [random.Random(seed + 1 + draw).sample(division.seen, LABELS) for draw in range(draws)]  # noqa: S311 - no secret
    return {
        "training": len(division.training),
        "labels": LABELS,
        "seen": seen,
        "kept": kept,
        "before": row(old, []),
        "loop": row(loop, offered)
        | {"against_before": compare_correct(old["right"], loop["right"], old["labels"]).entries()},
        "random": [row(judge_all.answers(more), more) for more in drawn],
    }


def build(photos: Sequence[Photo], folder: Path) -> Path:
    """Train on photos and export, unless that was done before; return the ONNX file."""
    exported = folder / "build" / artifacts.FP32_ONNX
    if exported.exists():
        return exported
    for photo in photos:
        target = folder / "photos" / photo.label / f"{sha256(photo.path.read_bytes())[:16]}{photo.path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo.path, target)
    train: list[str | Path] = [
        "train",
        "--data",
        folder / "photos",
        "--out",
        folder / "train",
        "--validation-share",
        "0.25",
    ]
    _pipeline(*train, "--skip-bad", "--side", "224", "--views", "4")
    model = folder / "train" / artifacts.MODEL_KERAS
    _pipeline("export", "--model", model, "--out", folder / "build", "--keep", "0.95", "--quick")
    return exported


def watch(model: Path, photos: Sequence[Photo], kept: Path) -> dict[str, Any]:
    """Let a device see photos, one per second; return how many of each kind it takes for known."""
    command = [sys.executable, "-m", "runtime", "stream", str(model), "--every-frame", "--keep", str(kept)]
    lines = kept.with_suffix(".jsonl")
    with lines.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out)  # noqa: S603 - our own
    if process.stdin is None:
        raise PipelineError("no pipe to the device")
    for photo in photos:
        process.stdin.write(photo.frame)
        process.stdin.flush()
        time.sleep(BETWEEN_S)
    process.stdin.close()
    if process.wait():
        raise PipelineError(f"stream: exit status {process.returncode}")
    known = {True: [0, 0], False: [0, 0]}
    for photo, line in zip(photos, lines.read_text(encoding="utf-8").splitlines(), strict=True):
        counts = known[photo.label == NONE]
        counts[0] += json.loads(line).get("known", True)
        counts[1] += 1
    return {"photos": known[False][1], "known": known[False][0], "strangers": known[True][1],
            "strangers_known": known[True][0]}  # fmt: skip


def label(frames: Path, photos: Path, division: Division) -> list[Photo]:
    """Label the frames that the labeling page offers first, through its HTTP API, with the names of their folders."""
    shown = {sha256(photo.frame): photo for photo in division.seen}
    labeled = []
    with serving(Queue(frames, photos), 0) as address:
        for _ in range(LABELS):
            state = _get(f"{address}state")
            name = state["name"]
            with urllib.request.urlopen(f"{address}picture/{urllib.parse.quote(name)}") as answer:  # noqa: S310 - ours
                photo = shown[sha256(answer.read())]
            body = json.dumps({"name": name, "label": photo.label}).encode()
            _get(urllib.request.Request(f"{address}label", body, {HEADER: "label"}))  # noqa: S310 - ours
            labeled.append(photo)
    return labeled


def row(found: dict[str, Any], labeled: Sequence[Photo]) -> dict[str, Any]:
    """Count a network's answers for the document."""
    return {
        "right": int(found["right"].sum()),
        "photos": len(found["right"]),
        "unknown": int(found["unknown"].sum()),
        "strangers_rejected": int(found["rejected"].sum()),
        "strangers": len(found["rejected"]),
        "strangers_labeled": sum(photo.label == NONE for photo in labeled),
    }


def _pipeline(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise PipelineError(f"{' '.join(command[2:5])} …: exit status {done.returncode}\n{done.stderr[-2000:]}")


def _get(request: str | urllib.request.Request) -> Any:
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - a server of ours
        return json.loads(answer.read())
