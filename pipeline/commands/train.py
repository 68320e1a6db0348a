"""``python -m pipeline train``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("train", help="train on CIFAR-10 and write model.keras and history.json")
    parser.add_argument(
        "--out", type=Path, default=Path("artifacts/train"), help="folder to write (default: artifacts/train)"
    )
    parser.add_argument("--epochs", type=int, help="passes over the training images (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, shuffling and augmentation (default: 0)")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.data import cifar10
    from pipeline.data.dataset import split
    from pipeline.train import Settings, train

    settings = Settings(seed=options.seed) if options.epochs is None else Settings(options.epochs, seed=options.seed)
    training, validation = split(cifar10.load()[0], cifar10.VALIDATION_COUNT)
    history = train(training, validation, options.out, settings)
    print(
        f"Validation accuracy {history['validation_accuracy']:.2%} "
        f"(epoch {history['best_epoch']} of {settings.epochs}).\n"
        f"Written: {options.out}/model.keras, {options.out}/history.json\n"
        f"Next: python -m pipeline export --model {options.out}/model.keras --out artifacts/build"
    )
    return OK
