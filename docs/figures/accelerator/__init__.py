"""Train preset networks on a machine that has an accelerator and PyTorch, but neither TensorFlow nor this project.

``pack`` writes a folder that holds everything: images, networks, a teacher, settings, and ``program``, which needs
PyTorch and numpy alone. Carry it there, run ``python -m program --out OUT`` in it, and bring ``OUT`` back: ``unpack``
turns it into the folders that ``python -m pipeline train`` writes.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from docs.figures.accelerator.network import layers_of, weights_of
from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.documents.history import EpochRecord, History
from pipeline.errors import PipelineError
from pipeline.export.load.model import load_model
from pipeline.models import build_trainable
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.run import RunOptions, history_of, write
from pipeline.training.settings import Settings

JOB, IMAGES, TEACHER = "job.json", "images.npz", "teacher"
PROGRAM = Path(__file__).with_name("program")
SHARED = ("batch_size", "epochs", "seed", "shift", "flip", "random_erasing", "cutmix", "mixup", "mixed_precision")
"""Settings that all runs of a folder have in common: they learn from the same batches, side by side."""
ABSENT = ("sam_rho", "half_side", "color", "balance_classes", "early_stopping")
"""Settings that the program does not know."""


def pack(folder: Path, runs: dict[str, Settings], images: tuple[Dataset, Dataset], teacher: Path | None = None) -> None:
    """Write the folder that the program needs on the other machine.

    Args:
        folder: to write; an existing one is replaced.
        runs: name of each run -> its settings.
        images: training and validation images.
        teacher: the ``.keras`` file of the teacher of all runs, which answers each augmented batch.

    Raises:
        PipelineError: the program does not know a setting, or the runs cannot share their batches.
    """
    _check(runs)
    training, validation = images
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job: dict[str, Any] = {"class_names": training.class_names, "runs": {}, "teacher": None}
    for name, settings in runs.items():
        network = _trainable(settings, training)
        _save(folder / f"{name}.npz", weights_of(network))
        job["runs"][name] = {"settings": asdict(settings), "layers": layers_of(network)}
    if teacher:
        network = load_model(teacher)
        _save(folder / f"{TEACHER}.npz", weights_of(network))
        job[TEACHER] = {"sha256": artifacts.sha256(teacher.read_bytes()), "layers": layers_of(network)}
    np.savez(
        folder / IMAGES,
        training=training.pixels,
        training_labels=training.labels.astype(np.int64),
        validation=validation.pixels,
        validation_labels=validation.labels.astype(np.int64),
    )
    artifacts.write_json(folder / JOB, job)
    shutil.copytree(PROGRAM, folder / PROGRAM.name, ignore=shutil.ignore_patterns("__pycache__"))


def _save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def _check(runs: dict[str, Settings]) -> None:
    usual = asdict(Settings())
    first = asdict(next(iter(runs.values()))) if runs else usual
    for name, settings in runs.items():
        given = asdict(settings)
        if unknown := [setting for setting in ABSENT if given[setting] != usual[setting]]:
            raise PipelineError(f"run {name}: {', '.join(unknown)} cannot be trained there; leave it out")
        if different := [setting for setting in SHARED if given[setting] != first[setting]]:
            raise PipelineError(f"run {name}: {', '.join(different)} must be the same in all runs of a folder")
        if name == TEACHER:
            raise PipelineError(f"a run cannot be called {TEACHER}: that is the file of the network that teaches")


def _trainable(settings: Settings, images: Dataset) -> keras.Model:
    keras.utils.set_random_seed(settings.seed)
    height, width = images.size
    return build_trainable(
        settings.model,
        len(images.class_names),
        height,
        width=width,
        dropout=settings.dropout,
        reparam=settings.reparam,
    )


def unpack(results: Path, images: tuple[Dataset, Dataset], out: Path) -> dict[str, History]:
    """Convert the program's results to a training folder for each run: ``OUT/NAME/model.keras``, history and curves.

    The weights after the last epoch are kept, so the validation images choose nothing.

    Args:
        results: the folder that the program wrote.
        images: the images that were packed.
        out: folder to write.

    Raises:
        PipelineError: a run is unfinished, or the folder has no results.
    """
    path = results / JOB
    if not path.is_file():
        raise PipelineError(f"{path} is missing: give the folder that the program wrote as --out")
    job = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for name, run in job["runs"].items():
        settings = Settings(**run["settings"])
        records = [EpochRecord(**record) for record in run["epochs"]]
        if len(records) != settings.epochs:
            raise PipelineError(f"run {name} has {len(records)} of {settings.epochs} epochs: let the program finish")
        network = _trainable(settings, images[0])
        with np.load(results / f"{name}.npz") as weights:
            for variable in network.variables:
                if variable.path in weights:
                    variable.assign(weights[variable.path])
        done = Checkpoint({}, records, keep_last=True)
        teacher = job[TEACHER]["sha256"] if job[TEACHER] else None
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        found[name] = write(folder, *history_of(network, done, images, settings, RunOptions(), teacher), settings.model)
    return found
