"""Train a network and write ``model.keras`` and its history; an interrupted training resumes after its last epoch."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.data.photo_settings import Settings as PhotoSettings
from pipeline.documents.history import EpochRecord, History, ImageCounts
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import load_model
from pipeline.metrics import classification
from pipeline.metrics.calibration import temperature_of
from pipeline.models import fold
from pipeline.training import batches, checkpoint, distribution, lock, record
from pipeline.training.batches import Epoch
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.learner import EVALUATION_BATCH, Learner
from pipeline.training.settings import Settings
from pipeline.training.teacher import Teacher, pass_number
from pipeline.training.transfer.distillation_data import DistillationData
from pipeline.training.write import write_model
from runtime.text import plural

__all__ = ["EVALUATION_BATCH", "RunOptions", "Settings", "accuracy", "history_of", "scale", "train", "write"]


@dataclass(frozen=True)
class RunOptions:
    """Options of a training run that are not hyperparameters; those are in ``Settings``.

    Attributes:
        teacher: a ``.keras`` file whose outputs are targets beside the labels.
        initial_model: a ``.keras`` file of the same network, whose weights the training starts from.
        distribute: one of ``distribution.KINDS``.
        tensorboard: whether to write TensorBoard logs.
        restart: whether to discard an unfinished run in the folder.
        photos: how the photos were read; recorded in the history, so that export and evaluation read them the same way.
        data: folder of the photos; also recorded in the history.
        distillation_data: outputs of a teacher with another side on the training images; used instead of ``teacher``.
        keep_last: keep the last epoch, so that the validation images choose no epoch.
        after_epoch: called with the records of all finished epochs after each one is saved; an exception ends the run.
    """

    teacher: Path | None = None
    distribute: str = distribution.NONE
    tensorboard: bool = False
    restart: bool = False
    photos: PhotoSettings | None = None
    data: Path | None = None
    distillation_data: DistillationData | None = None
    keep_last: bool = False
    after_epoch: Callable[[Sequence[EpochRecord]], None] | None = None
    initial_model: Path | None = None


def scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale pixels, uint8 0-255, to the network's input, float32 0-1."""
    return pixels.astype(np.float32) / np.float32(255)


def accuracy(model: keras.Model, dataset: Dataset) -> float:
    """Return the accuracy (0-1) of a model that takes floats 0-1."""
    probabilities = model.predict(scale(dataset.pixels), batch_size=EVALUATION_BATCH, verbose=0)
    return classification.accuracy(probabilities, dataset.labels)


def train(
    training: Dataset,
    validation: Dataset,
    out: Path,
    settings: Settings = Settings(),
    run_options: RunOptions = RunOptions(),
) -> History:
    """Train a network; write ``model.keras``, ``history.json``, ``history.csv`` and ``curves.png`` into ``out``.

    The epoch with the best validation accuracy (``Checkpoint.best_record``), or the last one, is kept and folded. The
    run is saved after every epoch, and a later call with the same arguments resumes it.

    Returns:
        The history that is written; without the model's SHA-256 on machines that write nothing.

    Raises:
        FolderInUseError: another process trains in ``out``.
        PipelineError: the settings do not fit the data, or another unfinished run is in ``out``.
    """
    strategy = distribution.strategy(run_options.distribute)
    chief = distribution.is_chief(strategy)
    with lock.held(out) if chief else nullcontext():
        steps = batches.steps_an_epoch(training, settings)
        teacher = (
            Teacher(run_options.teacher, training, settings) if run_options.teacher else run_options.distillation_data
        )
        identity = {
            **asdict(settings),
            "teacher": teacher.digest if teacher else None,
            "initial_model": digest_of(run_options.initial_model),
            "training_images": training.digest,
            "validation_images": validation.digest,
        }
        if run_options.restart and chief:
            checkpoint.discard(out)
        done = Checkpoint(identity) if run_options.restart else checkpoint.load(out, identity)
        done.validation_images, done.keep_last = len(validation), run_options.keep_last
        learner = Learner(settings, training, steps, strategy)
        if done.state:
            learner.restore(done.state)
        elif run_options.initial_model:
            learner.start_from(load_model(run_options.initial_model), training)
        with (
            distribution.loss_of_workers_explained(),
            record.bar(settings.epochs, steps, len(done.records), shown=chief) as bar,
        ):
            while not _finished(done, settings):
                started = time.monotonic()
                images = _images(training, settings, len(done.records), teacher, keep=chief)
                learned = _learn(learner, images, bar, halved=settings.halves(len(done.records)))
                _judge(learner, validation, done, learned, started)
                bar.epoch(done.records[-1])
                if chief:
                    _save(out, done, tensorboard=run_options.tensorboard)
                if run_options.after_epoch:
                    run_options.after_epoch(done.records)
        digest = teacher.digest if teacher else None
        trained = learner.trained(done.best)
        deployed, history = history_of(trained, done, (training, validation), settings, run_options, digest)
        return write(out, deployed, history, settings.model) if chief else history


def history_of(  # noqa: PLR0913, PLR0917 - a history has many fields
    trained: keras.Model,
    done: Checkpoint,
    images: tuple[Dataset, Dataset],
    settings: Settings,
    run_options: RunOptions,
    teacher_sha256: str | None,
) -> tuple[keras.Model, History]:
    """Fold the network into its deployed form, and build its history.

    Args:
        trained: the trainable network with the weights to keep.
        done: records of its epochs.
        images: training and validation images.
        settings: of the run.
        run_options: of the run.
        teacher_sha256: of the teacher, if there was one.
    """
    deployed = fold(trained)
    training, validation = images
    logits = Deployable(deployed, training.class_names).logits(validation.pixels)
    return deployed, History(
        settings=asdict(settings),
        teacher_sha256=teacher_sha256,
        initial_model_sha256=digest_of(run_options.initial_model),
        class_names=training.class_names,
        images=ImageCounts(training=len(training), validation=len(validation)),
        best_epoch=done.best_record.epoch,
        validation_accuracy=accuracy(deployed, validation),
        temperature=temperature_of(logits, validation.labels),
        photos=asdict(run_options.photos) if run_options.photos else None,
        data=str(run_options.data) if run_options.data else None,
        epochs=tuple(done.records),
    )


def digest_of(path: Path | None) -> str | None:
    """Return the SHA-256 of a file, ``None`` for no file."""
    return artifacts.sha256(path.read_bytes()) if path else None


def _finished(done: Checkpoint, settings: Settings) -> bool:
    """Return whether all epochs are done, or early stopping ends the run."""
    count = len(done.records)
    if count == settings.epochs:
        return True
    return bool(settings.early_stopping and count and count - done.best_record.epoch >= settings.early_stopping)


def _images(
    training: Dataset, settings: Settings, epoch: int, teacher: Teacher | DistillationData | None, *, keep: bool
) -> Epoch:
    """Plan ``epoch`` (from 0): order, augmentation, and outputs of the teacher."""
    if isinstance(teacher, DistillationData):
        return teacher.epoch(settings, epoch)
    number = pass_number(epoch, settings, taught=teacher is not None)
    return Epoch(
        training,
        batches.order_of(training, settings, epoch),
        settings.batch_size,
        batches.plan_pass(training, settings, number),
        batches.weights_of_classes(training, balance=settings.balance_classes),
        teacher.outputs(number, keep=keep) if teacher else None,
    )


def _learn(learner: Learner, images: Epoch, bar: record.Bar, *, halved: bool) -> tuple[float, float]:
    """Train for one epoch, with ``halved`` at half the side; return mean loss and accuracy on the augmented images."""
    results = []
    for batch in batches.distribute(images, learner.strategy):
        results.append(learner.step(batch, halved=halved))
        bar.step()
    losses, hits = np.asarray(results, np.float64).T
    return float(losses.mean()), min(float(hits.mean()), 1.0)  # the sum over replicas may round to more than 1


def _judge(
    learner: Learner, validation: Dataset, done: Checkpoint, learned: tuple[float, float], started: float
) -> None:
    """Evaluate the finished epoch and add it to ``done``."""
    loss, hits = learned
    weights = learner.weights()
    val_loss, val_accuracy = learner.evaluate(weights, validation)
    done.records.append(
        EpochRecord(
            epoch=len(done.records) + 1,
            seconds=round(time.monotonic() - started, 2),
            accuracy=hits,
            loss=loss,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
            learning_rate=learner.learning_rate,
        )
    )
    done.state = learner.state()
    if done.best_record is done.records[-1]:
        done.best = weights


def _save(out: Path, done: Checkpoint, *, tensorboard: bool) -> None:
    checkpoint.save(out, done)
    record.write_csv(out, done.records)
    if tensorboard:
        record.write_tensorboard(out, done.records[-1])


def write(out: Path, deployed: keras.Model, history: History, model: str) -> History:
    """Write model, history, table and curves, and delete the saved state of the run."""
    history = write_model(out, deployed, history)
    record.write_csv(out, history.epochs)
    record.draw_curves(out, history.epochs, f"{model}, {plural(len(history.epochs), 'epoch')}")
    checkpoint.discard(out)
    return history
