"""Dataset -> ``model.keras`` and ``history.json``: augmentation, cosine decay, best epoch on validation."""

import math
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.models import build_trainable, fold

CROP_MARGIN = 4
EVALUATION_BATCH = 1_000


@dataclass(frozen=True)
class Settings:
    """Everything that a training run depends on besides its data."""

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.25
    label_smoothing: float = 0.1
    warmup_epochs: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise PipelineError(f"epochs and batch size must be 1 or more, got {self.epochs} and {self.batch_size}")


def scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 0-255 to float32 0-1, as the network takes it."""
    return pixels.astype(np.float32) / np.float32(255)


def augment(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Shift every image by up to 4 pixels (edges reflected) and flip half of them left to right."""
    count, side = pixels.shape[:2]
    margin = min(CROP_MARGIN, side - 1)
    padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    top, left = random.integers(0, 2 * margin + 1, (2, count))
    shifted = windows[np.arange(count), top, left].transpose(0, 2, 3, 1)
    flip = random.random(count) < 0.5
    shifted[flip] = shifted[flip, :, ::-1]
    result: NDArray[np.uint8] = shifted
    return result


class _AugmentedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Freshly shuffled and augmented batches of one epoch."""

    def __init__(self, dataset: Dataset, batch_size: int, seed: int) -> None:
        super().__init__()
        self.dataset, self.batch_size = dataset, batch_size
        self.random = np.random.default_rng(seed)
        self.targets = np.eye(len(dataset.class_names), dtype=np.float32)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return scale(augment(self.dataset.pixels[chosen], self.random)), self.targets[self.dataset.labels[chosen]]

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.dataset))


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """One progress bar over all steps, and the record of each epoch."""

    def __init__(self, total_steps: int) -> None:
        super().__init__()
        self.bar = tqdm(total=total_steps, unit="step", desc="train", mininterval=1)
        self.epochs: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        record = {name: float(value) for name, value in (logs or {}).items()}
        self.epochs.append({"epoch": epoch + 1, "seconds": round(time.monotonic() - self.started, 2), **record})
        self.bar.set_postfix(epoch=epoch + 1, val_accuracy=f"{record['val_accuracy']:.4f}")

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.bar.close()


def accuracy(model: keras.Model, dataset: Dataset) -> float:
    """Share of images (0-1) that a model of 0-1 floats classifies rightly."""
    probabilities = model.predict(scale(dataset.pixels), batch_size=EVALUATION_BATCH, verbose=0)
    return float(np.mean(probabilities.argmax(axis=1) == dataset.labels))


def train(training: Dataset, validation: Dataset, out: Path, settings: Settings = Settings()) -> dict[str, Any]:
    """Train the network of the notes and write ``model.keras`` and ``history.json`` into ``out``.

    The epoch with the best validation accuracy is kept, folded into the nine deployed layers.

    Returns:
        What ``history.json`` holds: settings, the best epoch, one record an epoch.
    """
    keras.utils.set_random_seed(settings.seed)
    class_count = len(training.class_names)
    model = build_trainable("notes", class_count, training.side, dropout=settings.dropout)
    batches = _AugmentedBatches(training, settings.batch_size, settings.seed)
    steps = settings.epochs * len(batches)
    warmup = min(settings.warmup_epochs * len(batches), steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,
    )
    progress = _Progress(steps)
    validation_targets = keras.utils.to_categorical(validation.labels, class_count)
    with tempfile.TemporaryDirectory() as folder:
        best_weights = Path(folder) / "best.weights.h5"
        checkpoint = keras.callbacks.ModelCheckpoint(
            best_weights, monitor="val_accuracy", mode="max", save_best_only=True, save_weights_only=True
        )
        model.fit(
            batches,
            epochs=settings.epochs,
            validation_data=(scale(validation.pixels), validation_targets),
            validation_batch_size=EVALUATION_BATCH,
            callbacks=[progress, checkpoint],
            verbose=0,
        )
        model.load_weights(best_weights)
    deployed = fold(model)
    with artifacts.atomic_path(out / artifacts.MODEL_KERAS) as temporary:
        deployed.save(temporary)
    best = max(progress.epochs, key=lambda record: record["val_accuracy"])
    history = {
        "settings": asdict(settings),
        "class_names": list(training.class_names),
        "images": {"training": len(training), "validation": len(validation)},
        "best_epoch": best["epoch"],
        "validation_accuracy": accuracy(deployed, validation),
        "epochs": progress.epochs,
    }
    artifacts.write_json(out / artifacts.HISTORY, history)
    return history
