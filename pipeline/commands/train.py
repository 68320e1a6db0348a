"""``python -m pipeline train``."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.commands import (
    OK,
    Commands,
    FormerFlag,
    command_line,
    earlier_options,
    few_photos,
    fine_tune,
    photo_options,
    search,
)
from pipeline.data import unlabeled
from pipeline.data.cifar10 import check_validation_count
from pipeline.data.scan import scan
from pipeline.errors import PipelineError
from pipeline.system.file_checks import check_model
from pipeline.training.settings import Settings, options_of_settings
from runtime.system.writing import check_writable
from runtime.text import plural

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.training.quantize_aware.settings import FineTuning

FEW_STEPS = 5
"""Fewer steps per epoch than this give a hint."""
MODEL = {
    "default": None,
    "help": "trained from scratch: notes, resnet8, vgg8, separable or teacher; pretrained: efficientnet-lite0, "
    "mobilenetv2, mobilenetv2-0.35, mobilenetv2-0.5, mobilenetv2-0.75, mobilenetv3small or efficientnetv2b0 (default: "
    "notes; with --data efficientnet-lite0, if its weights are installed)",
}
"""Arguments of --model that replace those made from its setting."""
FORMER_FLAGS = {
    "--averaging": "--ema-decay",
    "--branches": "--reparam",
    "--sharpness": "--sam-rho",
    "--erasing": "--random-erasing",
    "--colour": "--color",
}
"""Flags of earlier versions that are still accepted: flag -> the flag that replaced it."""


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "train",
        help="train a network and write model.keras, its history and curves",
        description="Train on CIFAR-10, or with --data on own photos: a pretrained network is fitted to them. "
        "After an interruption the same command resumes after the last finished epoch.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("artifacts/train"),
        metavar="DIR",
        help="folder to write (default: artifacts/train)",
    )
    recipe = dict(options_of_settings())
    parser.add_argument("--model", **(recipe.pop("--model") | MODEL))
    photo_options.add(parser)
    few_photos.add(parser)
    fine_tune.add_quantize_aware(
        parser.add_argument_group("for int8", "a few epochs of fine-tuning after the training itself")
    )
    group = parser.add_argument_group("training from scratch")
    group.add_argument("--restart", action="store_true", help="discard an unfinished run in the folder")
    group.add_argument(
        "--teacher", type=Path, metavar="FILE", help="a model.keras whose probabilities are targets beside the labels"
    )
    group.add_argument(
        "--initial-model",
        type=Path,
        metavar="FILE",
        help="a model.keras of the same network whose weights the training starts from",
    )
    group.add_argument(
        "--validation-images",
        type=int,
        metavar="N",
        help="of CIFAR-10, not trained on, 1,000 to 5,000 (default: 5,000); own photos have --validation-share",
    )
    group.add_argument("--tensorboard", action="store_true", help="write logs for TensorBoard into the folder")
    group.add_argument(
        "--distribute",
        choices=("none", "mirrored", "multiworker"),
        default="none",
        help="train on one device (none, the default), on all accelerators of this machine (mirrored), or on the "
        "machines that TF_CONFIG lists (multiworker)",
    )
    search.add(parser)
    parser.add_argument("--in-steps", action="store_true", help=argparse.SUPPRESS)  # given by photos
    group = parser.add_argument_group("hyperparameters of training from scratch")
    actions = {flag: group.add_argument(flag, **arguments) for flag, arguments in recipe.items()}
    for former, flag in FORMER_FLAGS.items():
        group.add_argument(former, action=FormerFlag, current=actions[flag])
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded, and reuse options of an earlier training."""
    search.wanted(options)
    fine_tune.settings_of(options)
    check_writable(options.out / artifacts.MODEL_KERAS)
    from_scratch = options.from_scratch or not options.data  # a pretrained network refuses these two later
    given = (options.teacher, options.initial_model) if from_scratch else ()
    for path in filter(None, (*given, options.backbone)):
        check_model(path)
    if options.student and options.extra:
        unlabeled.check_there(options.extra)
    if options.validation_images is not None:
        if options.data:
            raise PipelineError("--validation-images is for CIFAR-10; for own photos give --validation-share X instead")
        check_validation_count(options.validation_images)
    if options.data:
        earlier_options.restore_of_training(options)
        scan(options.data, options.none)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.data import cifar10
    from pipeline.metrics.significance import share_interval
    from pipeline.models import check_side
    from pipeline.training import RunOptions, train

    searching = search.wanted(options)
    tuning = fine_tune.settings_of(options)
    if few_photos.wanted(options):
        return _fit_to_photos(options, tuning)
    settings = Settings(**{setting.name: getattr(options, setting.name) for setting in fields(Settings)})
    photo_settings = photo_options.settings(options) if options.data else None
    run_options = RunOptions(
        options.teacher,
        options.distribute,
        options.tensorboard,
        options.restart,
        photo_settings,
        options.data,
        initial_model=options.initial_model,
    )
    if photo_settings:
        check_side(settings.model, *photo_settings.size)
        photos = photo_options.read(options.data, photo_settings)
        training, validation = photos.training, photos.validation
    else:
        photos = None
        training, validation = cifar10.divided(options.validation_images)
    for hint in hints(options.out, len(training) // settings.batch_size):
        print(hint, file=sys.stderr)
    try:
        if searching:
            settings, run_options = search.run(options, training, validation, settings, run_options)
        history = train(training, validation, options.out, settings, run_options)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command resumes after the last finished epoch.", file=sys.stderr)
        raise
    low, high = share_interval(history.validation_accuracy or 0.0, len(validation))
    chosen = "the settings and " if searching else ""
    print(
        f"Validation accuracy {history.validation_accuracy:.2%} of {plural(len(validation), 'image')} "
        f"(95 % interval {low:.1%} to {high:.1%}), which also chose {chosen}epoch {history.best_epoch} of "
        f"{len(history.epochs)}.\n"
        f"Written: model.keras, history.json, history.csv and curves.png in {options.out}"
    )
    if tuning.scheme:
        _fine_tune(options.out, training, validation, tuning)
    _say_next(options)
    if photos:
        photo_options.report_skipped(photos)
    return OK


def _fine_tune(out: Path, training: "Dataset", validation: "Dataset", tuning: "FineTuning") -> None:
    """Fine-tune the trained model quantization-aware and write it to the same folder."""
    from pipeline.documents.history import read_history
    from pipeline.export.load.model import Source, load
    from pipeline.training.quantize_aware.run import Finished
    from pipeline.training.quantize_aware.run import fine_tune as tune

    path = out / artifacts.MODEL_KERAS
    print("Fine-tuning for int8", file=sys.stderr)
    start = Finished(load(Source(path)), read_history(path))
    print(fine_tune.format_result(tune(start, training, validation, out, tuning), out))


def _fit_to_photos(options: argparse.Namespace, tuning: "FineTuning") -> int:
    for hint in hints(options.out, 0):
        print(hint, file=sys.stderr)
    try:
        summary, photos = few_photos.run(options)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command resumes from the finished steps.", file=sys.stderr)
        raise
    written = (
        "model.keras, history.json, history.csv and curves.png" if options.student else "model.keras and history.json"
    )
    print(f"{summary}\n\nWritten: {written} in {options.out}")
    if tuning.scheme:
        _fine_tune(options.out, photos.training, photos.validation, tuning)
    _say_next(options)
    photo_options.report_skipped(photos)
    return OK


def hints(out: Path, steps: int) -> list[str]:
    """List the hints to print before a training begins.

    Args:
        out: folder that the training writes.
        steps: per epoch; 0 if there are none to judge.
    """
    lines = []
    if (out / artifacts.MODEL_KERAS).is_file():
        lines.append(f"{out}: the trained model there is replaced at the end; to keep it, give another --out")
    if 0 < steps < FEW_STEPS:
        lines.append(f"an epoch has only {plural(steps, 'step')}: lower --batch-size, or raise --epochs")
    return lines


def _say_next(options: argparse.Namespace) -> None:
    """Print the next command, unless ``photos`` runs it anyway."""
    if not options.in_steps:
        print(f"Next: {next_command(options)}")


def next_command(options: argparse.Namespace) -> str:
    """Return the command that exports the trained model with this interpreter, paths relative to this folder."""
    model = options.out / artifacts.MODEL_KERAS
    into = options.out if options.data else "artifacts/build"
    return command_line(map(str, ["export", "--model", model, "--out", into]))
