"""``python -m pipeline train --student NAME``: distill the network that was fitted to photos into a small one."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.data.folder import Photos
    from pipeline.data.photo_settings import Settings
    from pipeline.documents.history import History
    from pipeline.training.transfer.student import FittedTeacher

NAMES = ("notes", "resnet8", "vgg8", "separable")
DEFAULT_SIDE = 64


def add(group: argparse._ArgumentGroup) -> None:
    """Register the options."""
    group.add_argument(
        "--student", choices=NAMES,
        help="train this small network to give the large one's probabilities, on images of --side pixels "
        f"(default: {DEFAULT_SIDE})",
    )  # fmt: skip
    group.add_argument(
        "--extra", type=Path, metavar="DIR", help="photos without labels that the student also learns from"
    )


def choose(options: argparse.Namespace, pretrained: tuple[str, ...], default: str) -> None:
    """Set ``options.model`` to the teacher, if ``--student`` is given: the named pretrained network or ``default``.

    Raises:
        PipelineError: options contradict each other.
        ArchitectureError: the student cannot have this side.
    """
    if options.extra and not options.student:
        raise PipelineError("--extra needs --student: only a student learns from photos without labels; leave it out")
    if not options.student:
        return
    if options.model and options.model not in pretrained:
        raise PipelineError(
            f"--student {options.student} learns from a pretrained network, which {options.model} is not; leave "
            "--model out, or --student"
        )
    from pipeline.models import check_side

    check_side(options.student, options.side or DEFAULT_SIDE)
    if not options.backbone:
        options.model = options.model or default


def run(
    options: argparse.Namespace, teacher: "FittedTeacher", photos: "Photos", photo_settings: "Settings"
) -> "History":
    """Train the student and write it.

    Args:
        options: of the command.
        teacher: the fitted network and its photos.
        photos: read at the teacher's side.
        photo_settings: the settings with which these were read.
    """
    from pipeline.data.folder import load
    from pipeline.training.transfer.student import DistillationSettings, distill

    asked = DistillationSettings(
        options.student, options.student_side, options.minutes / 2, options.seed, options.restart, options.distribute
    )
    own_settings = replace(photo_settings, side=asked.side, any_side=True)
    if options.extra:
        teacher = replace(teacher, extra=_extra(options.extra, photos, photo_settings))
    print(f"student: {asked.model} at {asked.side} pixels learns from the network in {teacher.folder}", file=sys.stderr)
    return distill(teacher, load(photos.folder, own_settings), asked, options.out, own_settings)


def _extra(source: Path, photos: "Photos", photo_settings: "Settings") -> "Dataset":
    """Load the photos of ``--extra``, except those that are also validation or test photos."""
    from pipeline.data import unlabeled
    from pipeline.data.dataset import without_labels

    found = unlabeled.load(source, photo_settings, photos.training.class_names, fewest=1)
    held_out = {square.tobytes() for part in (photos.validation, photos.test) if part for square in part.pixels}
    kept = [at for at, square in enumerate(found.pixels) if square.tobytes() not in held_out]
    if not kept:
        raise PipelineError(f"{source}: every photo in it is held out to validate on; give other photos with --extra")
    return without_labels(found.pixels[kept], found.class_names)


def format_result(history: "History") -> str:
    """Format a table of teacher and student, each with its accuracy on photos that it did not learn from."""
    from pipeline.metrics.significance import share_interval
    from pipeline.report.numbers import duration, size

    lines = [
        f"{'network':<24}{'held-out photos':>30}{'mult-adds':>16}{'int8 weights':>14}{'fp32, 1 thread':>16}",
    ]
    for row in history.contenders:
        low, high = share_interval(row.accuracy, row.images)
        accuracy = f"{row.accuracy:.1%} of {row.images:,} ({low:.1%} to {high:.1%})"
        lines.append(
            f"{f'{row.model} {row.side}':<24}{accuracy:>30}{row.multiply_accumulates:>16,.0f}"
            f"{size(row.int8_bytes):>14}{duration(1_000 * row.fp32_latency_ms):>16}"
        )
    return "\n".join(lines)
