"""``python -m pipeline fine-tune``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.commands import OK, Commands, FormerFlag, photo_options, source_options
from pipeline.commands.before_tensorflow import check_source
from pipeline.documents.quantize_aware import Scheme
from pipeline.errors import PipelineError
from pipeline.training.quantize_aware.settings import FineTuning
from runtime.system.writing import check_writable
from runtime.text import plural

if TYPE_CHECKING:
    from pipeline.documents.history import History


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "fine-tune",
        help="train a finished model further at a low learning rate, or for int8 (--quantize-aware)",
        description="Train a finished model further on CIFAR-10, or with --data on own photos. With --quantize-aware "
        "the training simulates int8 arithmetic, so that the int8 files lose less accuracy; export then uses the "
        "ranges learned in training.",
    )
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    source_options.add(parser)
    photo_options.add_data(parser, "photos of its classes")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="passes over the images (default: 5)")
    parser.add_argument(
        "--learning-rate", type=float, default=2e-4, metavar="X",
        help="highest learning rate; cosine decay to 0 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="images per step (default: 64)")
    weight = parser.add_argument(
        "--distillation-weight", type=float, default=0.5, metavar="X",
        help="weight, 0 to 1, of the unchanged model's probabilities as targets; the labels have the rest (default: "
        "%(default)s)",
    )  # fmt: skip
    parser.add_argument("--imitation", action=FormerFlag, current=weight)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of order and augmentation (default: 0)")
    add_quantize_aware(parser)
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    _settings(options)
    check_writable(options.out / artifacts.MODEL_KERAS)
    check_source(options)


def add_quantize_aware(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Register the options of quantization-aware training."""
    parser.add_argument(
        "--quantize-aware", action="store_true",
        help="round weights and activations in training as int8 files do, so that those lose less accuracy",
    )  # fmt: skip
    parser.add_argument(
        "--per-tensor",
        action="store_true",
        help="with --quantize-aware: one scale per weight tensor instead of one per output channel",
    )
    parser.add_argument(
        "--reduce-range", action="store_true",
        help="with --quantize-aware: 7-bit weights, for ONNX on x86 processors without VNNI",
    )  # fmt: skip


def settings_of(options: argparse.Namespace, **others: float) -> FineTuning:
    """Build the settings of fine-tuning from the options.

    Args:
        options: of the command.
        others: further fields of ``FineTuning``.

    Raises:
        PipelineError: ``--per-tensor`` or ``--reduce-range`` without ``--quantize-aware``.
    """
    for name in ("per_tensor", "reduce_range"):
        if getattr(options, name) and not options.quantize_aware:
            raise PipelineError(f"--{name.replace('_', '-')} applies only with --quantize-aware: add that")
    scheme = Scheme(not options.per_tensor, options.reduce_range) if options.quantize_aware else None
    return FineTuning(**others, seed=options.seed, scheme=scheme)  # type: ignore[arg-type]


def _settings(options: argparse.Namespace) -> FineTuning:
    return settings_of(
        options,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        distillation_weight=options.distillation_weight,
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from dataclasses import asdict

    from pipeline.data import cifar10, samples
    from pipeline.documents.history import History, read_history
    from pipeline.errors import DataError
    from pipeline.export.load.model import load
    from pipeline.training.quantize_aware.run import Finished, fine_tune

    settings, source = _settings(options), source_options.source(options)
    deployable = load(source)
    history = read_history(source.path) or History(class_names=deployable.class_names)
    folder, photos = photo_options.folder_of(options, source.path), None
    if folder:
        photos = photo_options.of_source(options, folder, deployable, source)
        photos.require_training_photos()
        training, validation = photos.training, photos.validation
        read_with = asdict(photo_options.settings_of_source(options, deployable, source))
        history = history.model_copy(update={"photos": history.photos or read_with, "data": str(folder)})
    else:
        training, validation = cifar10.divided(samples.validation_count(history))
        if (training.size, training.class_names) != (deployable.size, deployable.class_names):
            raise DataError(
                f"{source.path} does not take CIFAR-10's images and classes: give photos of its classes with --data"
            )
    done = fine_tune(Finished(deployable, history), training, validation, options.out, settings)
    print(format_result(done, options.out))
    photo_options.report_skipped(photos)
    return OK


def format_result(history: "History", out: Path) -> str:
    """Format the result for the screen.

    Raises:
        ValueError: the history has no validation accuracy.
    """
    from pipeline.metrics.significance import share_interval

    images, accuracy = history.images, history.validation_accuracy
    if images is None or accuracy is None:
        raise ValueError("expected the history of a fine-tuned model")
    low, high = share_interval(accuracy, images.validation)
    count = plural(images.validation, "image")
    lines = [f"Validation accuracy {accuracy:.2%} of {count} (95 % interval {low:.1%} to {high:.1%})."]
    if (trained := history.quantize_aware) is not None:
        lines.append(
            f"With simulated int8: {trained.accuracy:.2%}; before this training, in float: {trained.before:.2%}."
        )
    return "\n".join([*lines, f"Written: {artifacts.MODEL_KERAS} and {artifacts.HISTORY} in {out}"])
