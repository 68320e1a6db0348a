"""Show and record a training: progress bar with remaining time, CSV table, curves, TensorBoard logs."""

import csv
import io
import math
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from tqdm import tqdm

from pipeline import artifacts
from pipeline.documents.history import EpochRecord

DOTS_AN_INCH = 120
FEW_EPOCHS = 20


class Bar:
    """A progress bar over all steps with the remaining time; if stderr is not a terminal, one line per epoch."""

    def __init__(self, epochs: int, steps: int, done: int, *, shown: bool) -> None:
        self.epochs = epochs
        self._first: tuple[int, float] | None = None
        self.live, self.logged = shown and sys.stderr.isatty(), shown and not sys.stderr.isatty()
        self._bar = tqdm(
            total=epochs * steps, initial=done * steps, unit="step", desc="train", mininterval=1, disable=not self.live
        )

    def step(self) -> None:
        """Count one more step."""
        self._bar.update()

    def epoch(self, record: EpochRecord) -> None:
        """Show the record of one more epoch."""
        number = record.epoch
        self._bar.set_postfix(epoch=f"{number}/{self.epochs}", val_accuracy=f"{record.val_accuracy:.4f}")
        if self.logged:
            print(
                f"epoch {number}/{self.epochs}  {record.seconds:.1f} s  loss {_number(record.loss)}  "
                f"accuracy {record.accuracy:.4f}  val_accuracy {record.val_accuracy:.4f}{self._left(number)}",
                file=sys.stderr,
                flush=True,
            )

    def _left(self, number: int) -> str:
        """Estimate the remaining time; the first epoch of this process is left out, as it also traces graphs."""
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            return ""
        before, then = self._first
        pace = (now - then) / (number - before)
        return f"  left {time.strftime('%H:%M:%S', time.gmtime(pace * (self.epochs - number)))}"

    def close(self) -> None:
        """Close the progress bar."""
        self._bar.close()


def _number(loss: float | None) -> str:
    return "nan" if loss is None else f"{loss:.4f}"


def bar(epochs: int, steps: int, done: int, *, shown: bool) -> AbstractContextManager[Bar]:
    """Return a context manager with a ``Bar``, at ``done`` of ``epochs`` epochs of ``steps`` steps each."""
    return closing(Bar(epochs, steps, done, shown=shown))


def write_csv(folder: Path, records: Sequence[EpochRecord]) -> None:
    """Write the records as CSV, one row per epoch."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(EpochRecord.model_fields))
    writer.writeheader()
    writer.writerows(record.model_dump() for record in records)
    artifacts.write_bytes(folder / artifacts.HISTORY_CSV, text.getvalue().encode())


def draw_curves(folder: Path, records: Sequence[EpochRecord], title: str) -> None:
    """Draw loss, accuracy and learning rate by epoch as one PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    epochs = [record.epoch for record in records]
    marker = "." if len(records) <= FEW_EPOCHS else ""  # a line with one point would be invisible
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, name, factor, label in ((loss, "loss", 1, "loss"), (accuracy, "accuracy", 100, "accuracy (%)")):
        for prefix, who in (("", "training, augmented"), ("val_", "validation")):
            values = [getattr(record, prefix + name) for record in records]
            axes.plot(
                epochs, [math.nan if value is None else factor * value for value in values], marker=marker, label=who
            )
        axes.set_ylabel(label)
        axes.legend()
    best = max(records, key=lambda record: record.val_accuracy)
    accuracy.plot(best.epoch, 100 * best.val_accuracy, "o", color="C1")
    accuracy.annotate(
        f"{best.val_accuracy:.2%}",
        (best.epoch, 100 * best.val_accuracy),
        (0, 6),
        textcoords="offset points",
        ha="right",
    )
    accuracy.margins(y=0.1)
    rate.plot(epochs, [record.learning_rate for record in records], marker=marker, color="C2")
    rate.set_ylabel("learning rate")
    for axes in (loss, accuracy, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    with artifacts.atomic_path(folder / artifacts.CURVES) as temporary:
        figure.savefig(temporary, dpi=DOTS_AN_INCH)


def write_tensorboard(folder: Path, record: EpochRecord) -> None:
    """Add one epoch to the TensorBoard logs."""
    import tensorflow as tf

    with tf.summary.create_file_writer(str(folder / artifacts.TENSORBOARD)).as_default(step=record.epoch):
        for name, value in record.model_dump(exclude={"epoch"}).items():
            tf.summary.scalar(name, math.nan if value is None else value)
