"""Train the networks of this folder side by side with PyTorch.

usage: python -m program --out OUT [--minutes M]

All runs see the same batches, and the teacher answers each batch once for all of them. With ``--minutes`` the number of
epochs is reduced, for all runs, to fit into the time; ``job.json`` in OUT records it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .batches import DEVICE, Batches
from .network import Network
from .run import Run

HERE = Path(__file__).parents[1]
PACED = 3
"""Epochs after which the time of an epoch is estimated."""


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Load all arrays of an ``.npz`` file."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def write(out: Path, job: dict[str, Any], runs: dict[str, Run]) -> None:
    """Write weights and records of all runs so far."""
    for name, run in runs.items():
        weights: dict[str, Any] = {**run.weights()}
        np.savez(out / f"{name}.npz", **weights)
        job["runs"][name] |= {"settings": run.settings, "epochs": run.records}
    (out / "job.json").write_text(json.dumps(job), encoding="utf-8")


def fit(runs: dict[str, Run], epochs: int, minutes: float, begun: float, done: int) -> int:
    """Reduce the number of epochs to what the time allows, by the duration of the first ``done``; return it."""
    pace = (time.monotonic() - begun) / done
    allowed = done + max(int((60 * minutes - (time.monotonic() - begun)) / pace * 0.97), 1)
    for run in runs.values():
        run.settings["epochs"] = min(epochs, allowed)
    return min(epochs, allowed)


def main() -> None:
    """Train all runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    job, images = json.loads((HERE / "job.json").read_text(encoding="utf-8")), load(HERE / "images.npz")
    settings = next(iter(job["runs"].values()))["settings"]
    torch.manual_seed(settings["seed"])
    torch.backends.cudnn.benchmark = True
    batches = Batches(images["training"], images["training_labels"], settings, len(job["class_names"]))
    pixels = torch.from_numpy(images["validation"]).permute(0, 3, 1, 2).contiguous().to(DEVICE)
    labels = torch.from_numpy(images["validation_labels"]).to(DEVICE)
    runs = {name: Run(run, load(HERE / f"{name}.npz"), batches.steps) for name, run in job["runs"].items()}
    teacher = None
    if job["teacher"]:
        teacher = Network(job["teacher"]["layers"], load(HERE / "teacher.npz")).to(DEVICE).eval()
        teacher = teacher.to(memory_format=torch.channels_last)
    begun, epochs, epoch = time.monotonic(), settings["epochs"], 0
    while epoch < epochs:
        started = time.monotonic()
        for x, targets in batches.epoch():
            with torch.inference_mode(), torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
                taught = teacher(x) if teacher else None
            for run in runs.values():
                run.step(x, targets, None if taught is None else taught.clone())
        for run in runs.values():
            run.judge(pixels, labels, time.monotonic() - started)
        epoch += 1
        if options.minutes and epoch == PACED:
            epochs = fit(runs, epochs, options.minutes, begun, epoch)
        accuracies = "  ".join(f"{name} {run.records[-1]['val_accuracy']:.4f}" for name, run in runs.items())
        print(f"epoch {epoch}/{epochs}  {time.monotonic() - started:.1f} s  {accuracies}", flush=True)
        if epoch == epochs or epoch % max(epochs // 10, 1) == 0:
            write(options.out, job, runs)


if __name__ == "__main__":
    main()
