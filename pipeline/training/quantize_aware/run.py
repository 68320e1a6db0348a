"""Fine-tune a finished network; with quantization-aware training its int8 files lose less accuracy.

The network that is written is an ordinary Keras model with the same layers. The learned ranges are in the history
beside it, from which export reads them.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.history import EpochRecord, History, ImageCounts
from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import temperature_of
from pipeline.metrics.classification import accuracy
from pipeline.training.quantize_aware.settings import FineTuning
from pipeline.training.quantize_aware.tuner import FineTuner
from pipeline.training.write import write_model


@dataclass(frozen=True)
class Finished:
    """A trained network.

    Attributes:
        deployable: the classifier; fine-tuning changes its weights.
        history: of its training; ``None`` if unknown.
    """

    deployable: Deployable
    history: History | None = None


def fine_tune(start: Finished, training: Dataset, validation: Dataset, out: Path, settings: FineTuning) -> History:
    """Fine-tune a classifier; write ``model.keras`` and ``history.json`` into ``out``.

    The last epoch is kept, so that the validation images choose nothing. The out-of-fold accuracy of the former
    training no longer applies and is removed from the history.

    Args:
        start: the classifier.
        training: images to train on.
        validation: images to judge on.
        out: folder to write.
        settings: of fine-tuning; the batch size is reduced to the number of images if that is smaller.

    Returns:
        The history that is written.
    """
    deployable, history = start.deployable, start.history or History(class_names=start.deployable.class_names)
    settings = replace(settings, batch_size=min(settings.batch_size, len(training)))
    before = accuracy(deployable.probabilities(validation.pixels), validation.labels)
    tuner, records = FineTuner(deployable, training, settings), list(history.epochs)
    logits = np.zeros((0, deployable.class_count), np.float32)
    for number in range(settings.epochs):
        started = time.monotonic()
        learned = tuner.epoch(number)
        logits = tuner.logits(validation.pixels)
        seconds = round(time.monotonic() - started, 2)
        records.append(_record(len(records) + 1, learned, logits, validation, seconds, tuner.learning_rate))
    tuner.finish()
    in_float = accuracy(deployable.probabilities(validation.pixels), validation.labels)
    trained = None
    if settings.scheme is not None:
        trained = QuantizeAware(
            **asdict(settings.scheme),
            epochs=settings.epochs,
            accuracy=records[-1].val_accuracy,
            images=len(validation),
            float_accuracy=in_float,
            before=before,
            ranges=tuner.numbers(),
        )
    found = history.model_copy(
        update={
            "images": ImageCounts(training=len(training), validation=len(validation)),
            "best_epoch": len(records),
            "validation_accuracy": in_float,
            "out_of_fold": None,
            "temperature": temperature_of(logits, validation.labels),
            "quantize_aware": trained,
            "epochs": tuple(records),
        }
    )
    return write_model(out, deployable.model, found)


def _record(  # noqa: PLR0913, PLR0917 - a record has many fields
    number: int,
    learned: tuple[float, float],
    logits: NDArray[np.float32],
    validation: Dataset,
    seconds: float,
    learning_rate: float,
) -> EpochRecord:
    loss, hits = learned
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(validation.labels.astype(np.int64), logits)
    return EpochRecord(
        epoch=number,
        seconds=seconds,
        accuracy=min(hits, 1.0),
        loss=loss,
        val_accuracy=accuracy(logits, validation.labels),
        val_loss=float(np.mean(losses)),
        learning_rate=learning_rate,
    )
