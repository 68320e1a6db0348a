"""The state that a training saves in its folder, so that the same command resumes it."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from pipeline import artifacts
from pipeline.documents.history import EpochRecord
from pipeline.errors import PipelineError, reason
from pipeline.training.learner import Arrays
from runtime.text import plural

RUN, RECORDS = "run", "records"
MANY = 2_000
"""With at least this many validation images, epochs are compared by their own accuracy."""
SMOOTHED = 5
"""With fewer images, epochs are compared by the mean accuracy of this many epochs."""


@dataclass
class Checkpoint:
    """A run up to the end of an epoch.

    Attributes:
        run: identity of the run: settings and digests of the data. Only a run with the same identity resumes it.
        records: of the finished epochs, as in ``history.json``.
        best: weights of the epoch of ``best_record``.
        state: of the learner after the last finished epoch.
        validation_images: number of validation images.
        keep_last: whether the last epoch is kept, independent of the validation images.
    """

    run: dict[str, Any]
    records: list[EpochRecord] = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    state: dict[str, Arrays] = field(default_factory=dict)
    validation_images: int = MANY
    keep_last: bool = False

    @property
    def best_record(self) -> EpochRecord:
        """The record of the epoch that is kept: the first one with the best validation accuracy.

        With fewer than ``MANY`` images, the best of many epochs would be the luckiest one. Then each epoch is judged by
        the mean accuracy of itself and the epochs before it, ``SMOOTHED`` in all.
        """
        if self.keep_last:
            return self.records[-1]
        if self.validation_images >= MANY:
            return max(self.records, key=lambda record: record.val_accuracy)
        means = [fmean(record.val_accuracy for record in self._until(epoch)) for epoch in range(len(self.records))]
        return self.records[max(range(len(means)), key=lambda epoch: round(means[epoch], 9))]

    def _until(self, epoch: int) -> list[EpochRecord]:
        return self.records[max(epoch + 1 - SMOOTHED, 0) : epoch + 1]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to one file, atomically."""
    text = json.dumps({RUN: checkpoint.run, RECORDS: [record.model_dump() for record in checkpoint.records]})
    arrays: dict[str, Any] = {"about": np.asarray(text)}
    arrays |= {
        f"{name}/{index:04}": array
        for name, group in {"best": checkpoint.best, **checkpoint.state}.items()
        for index, array in enumerate(group)
    }
    content = io.BytesIO()
    np.savez(content, **arrays)
    artifacts.write_bytes(folder / artifacts.PROGRESS, content.getvalue())


def load(folder: Path, run: dict[str, Any]) -> Checkpoint:
    """Load the unfinished run in ``folder``; if there is none, begin ``run``.

    Raises:
        PipelineError: the unfinished run differs from ``run``, or cannot be read.
    """
    path = folder / artifacts.PROGRESS
    if not path.exists():
        return Checkpoint(run)
    remedy = "add --restart to discard it"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(archive["about"].item())
            groups: dict[str, Arrays] = {"best": [], "model": [], "optimizer": [], "averages": []}
            for name in sorted(set(archive.files) - {"about"}):
                groups[name.partition("/")[0]].append(archive[name])
        records = [EpochRecord(**record) for record in about[RECORDS]]
        kept = Checkpoint(about[RUN], records, groups.pop("best"), groups)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise PipelineError(f"{path}: the unfinished run cannot be read ({reason(error)}): {remedy}") from error
    changes = [
        f"{name.replace('_', ' ')} was {kept.run.get(name)}, is now {run.get(name)}"
        for name in sorted({*kept.run, *run})
        if kept.run.get(name) != run.get(name)
    ]
    if changes:
        raise PipelineError(
            f"{folder} holds an unfinished run ({plural(len(kept.records), 'epoch')} done) that differs: "
            f"{'; '.join(changes)}. Give the earlier options and data to resume it, or {remedy}"
        )
    return kept


def discard(folder: Path) -> None:
    """Delete the unfinished run in ``folder``, if there is one."""
    (folder / artifacts.PROGRESS).unlink(missing_ok=True)
