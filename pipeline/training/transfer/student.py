"""Distill a network that was fitted to photos into a small one with another side (Hinton et al., 2015)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.data.folder import Photos
from pipeline.data.photo_settings import Settings as PhotoSettings
from pipeline.documents.history import ComparedNetwork, History
from pipeline.export.load.model import load_model
from pipeline.export.onnx import clean
from pipeline.export.translate import translate_function
from pipeline.models import PRESETS, build, summarize
from pipeline.training import RunOptions, distribution, train
from pipeline.training.settings import Settings
from pipeline.training.transfer.backbone import Backbone
from pipeline.training.transfer.distillation_data import DistillationData, small_views
from pipeline.training.transfer.features import features
from pipeline.training.transfer.plan import epochs_within
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure

TEACHER_FOLDER = "teacher"
"""Name of the teacher's folder inside the student's folder."""
LOOKS = 400_000
"""Number of training images (photos times epochs) of a student, if the time allows."""
EPOCHS = (5, 400)
"""Fewest and most epochs."""
MANY_EPOCHS = 60
"""CutMix is used from this number of epochs on; fewer are too few for it."""
HALF_SIDE = 0.75
"""Share of the epochs, at the beginning, with images of half the side, which take a quarter of the work."""
SMALLEST_SIDE = 64
"""Smallest side in pixels with which epochs at half the side are used; smaller images would lose too much detail."""
AVERAGED = 0.1
"""Share of the steps over which weights are averaged."""
LONGEST_AVERAGE = 500
"""Largest number of steps over which weights are averaged."""
BATCH, DEVICES = 64, 8
"""Photos per step, which up to DEVICES devices can share evenly."""
TIMED_ROUNDS, TIMED_RUNS = 5, 5
"""Turns of each network when both are timed, and runs per turn."""


@dataclass(frozen=True)
class DistillationSettings:
    """Settings for training a student.

    Attributes:
        model: one of ``PRESETS``.
        side: of its images in pixels.
        minutes: approximate time for its training.
        seed: of weights, order and augmentation.
        restart: whether to discard an unfinished training in the folder.
        distribute: one of ``distribution.KINDS``.
    """

    model: str
    side: int
    minutes: float
    seed: int = 0
    restart: bool = False
    distribute: str = distribution.NONE


def settings_of(asked: DistillationSettings, photos: int, class_count: int) -> Settings:
    """Return the settings of a student's training; the epochs follow from the minutes by a cost model.

    Args:
        asked: how the student is trained.
        photos: number of training photos.
        class_count: number of classes.
    """
    work = sum(row.multiply_accumulates for row in summarize(build(asked.model, class_count, asked.side)))
    half_side = HALF_SIDE if asked.side >= SMALLEST_SIDE and not PRESETS[asked.model].one_side else 0.0
    affordable = epochs_within(asked.minutes, round(work * (1 - 0.75 * half_side)), photos)
    epochs = int(max(EPOCHS[0], min(LOOKS / photos, affordable, EPOCHS[1])))
    batch = min(BATCH, max(photos // 4, 1))
    batch -= batch % DEVICES if batch > DEVICES else 0
    steps = epochs * (photos // batch)
    return Settings(
        model=asked.model,
        seed=asked.seed,
        epochs=epochs,
        batch_size=batch,
        warmup_epochs=min(2, epochs // 4),
        learning_rate=0.004,
        weight_decay=0.05,
        dropout=0.0,
        label_smoothing=0.0,
        ema_decay=1 - 1 / max(min(AVERAGED * steps, LONGEST_AVERAGE), 2),
        half_side=half_side,
        color=0.1,
        cutmix=0.25 if epochs >= MANY_EPOCHS else 0.0,
        teacher_weight=0.9,
    )


def distill(
    teacher: "FittedTeacher", photos: Photos, asked: DistillationSettings, out: Path, photo_settings: PhotoSettings
) -> History:
    """Train a student of a network that ``fit_to_photos`` wrote; write its ``model.keras`` and ``history.json``.

    The validation photos do not choose an epoch: the last one is kept, with averaged weights. They are only used to fit
    the temperature.

    Args:
        teacher: the fitted network and its photos.
        photos: divided, read at the student's side.
        asked: how the student is trained.
        out: folder to write.
        photo_settings: how the student's photos are read.
    """
    data = teacher.data_for(photo_settings)
    settings = settings_of(asked, len(data.labels), len(photos.training.class_names))
    run_options = RunOptions(
        distribute=asked.distribute,
        restart=asked.restart,
        distillation_data=data,
        keep_last=True,
        photos=photo_settings,
        data=photos.folder,
    )
    history = train(data.photos, photos.validation, out, settings, run_options)
    rows = _compared_networks({out: history, teacher.folder: History.read(teacher.folder)})
    history = history.model_copy(update={"contenders": rows})
    history.write(out)
    return history


@dataclass(frozen=True)
class FittedTeacher:
    """A network that was fitted to photos, which is the teacher, and its photos.

    Attributes:
        folder: of its ``model.keras`` and ``history.json``.
        backbone: of the network.
        training: its training photos, at its side.
        views: number of views of each photo.
        extra: photos without labels, at its side.
    """

    folder: Path
    backbone: Backbone
    training: Dataset
    views: int
    extra: Dataset | None = None

    def data_for(self, photo_settings: PhotoSettings) -> DistillationData:
        """Return views of all photos in the student's size, with the teacher's logits of each view."""
        path = self.folder / artifacts.MODEL_KERAS
        kernel, bias = load_model(path).layers[-1].get_weights()
        sets = [self.training, *([self.extra] if self.extra else [])]
        numbers = range(self.views)
        logits = np.concatenate(
            [features(self.backbone, each.pixels, numbers) @ kernel + bias for each in sets], axis=1
        ).astype(np.float32)
        spec = photo_settings.spec(self.training.class_names)
        answers = logits[0, len(self.training) :].argmax(axis=1)
        return DistillationData(
            small_views([each.pixels for each in sets], numbers, spec),
            np.concatenate([self.training.labels, answers]).astype(np.int64),
            logits,
            self.training.class_names,
            artifacts.sha256(path.read_bytes()),
        )


def _compared_networks(histories: Mapping[Path, History]) -> tuple[ComparedNetwork, ...]:
    """Measure the networks of folders: accuracy from the history, size, and latency on one thread of this machine."""
    models = {folder: load_model(folder / artifacts.MODEL_KERAS) for folder in histories}
    engines = {str(folder): _float_engine(model) for folder, model in models.items()}
    timed = measure(engines, [None], TIMED_ROUNDS, TIMED_RUNS)
    return tuple(
        _compared_network(models[folder], history, median_us(timed[str(folder)]) / 1_000)
        for folder, history in histories.items()
    )


def _compared_network(model: keras.Model, history: History, latency_ms: float) -> ComparedNetwork:
    rows, images = summarize(model), history.images
    return ComparedNetwork(
        model=str(history.settings["model"]),
        side=int(model.input_shape[1]),
        accuracy=history.validation_accuracy or 0.0,
        images=images.validation if images else 1,
        multiply_accumulates=sum(row.multiply_accumulates for row in rows),
        int8_bytes=sum(row.int8_bytes for row in rows),
        fp32_latency_ms=latency_ms,
    )


def _float_engine(model: keras.Model) -> Callable[[None], Any]:
    """Return a function that runs a network in float32 on one thread for one black image."""
    side = int(model.input_shape[1])
    graph = clean(translate_function(lambda image: model(image, training=False), side)).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    fed = {session.get_inputs()[0].name: np.zeros((1, side, side, 3), np.float32)}
    return lambda _: session.run(None, fed)
