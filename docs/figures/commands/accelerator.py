"""``python -m docs.figures accelerator``."""

import argparse
import json
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "accelerator",
        help="pack trainings on CIFAR-10 for a machine with an accelerator, and take their results back",
        description="With --runs: write a folder to carry there. With --results: turn what was written there into "
        "folders of trained networks.",
    )
    parser.add_argument("folder", type=Path, help="to write")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--runs", type=Path, metavar="FILE", help='JSON: {"NAME": {"model": "notes", "epochs": 500, …}}')
    which.add_argument("--results", type=Path, metavar="DIR", help="what the program wrote there")
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="model.keras that all runs learn from")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.accelerator import pack, unpack
    from pipeline.data import cifar10
    from pipeline.errors import PipelineError
    from pipeline.training.settings import Settings

    images = cifar10.divided()
    if options.results:
        for name, history in unpack(options.results, images, options.folder).items():
            print(f"{options.folder / name}: {history.validation_accuracy:.2%} of {len(images[1]):,} validation images")
        return OK
    try:
        runs = {name: Settings(**settings) for name, settings in json.loads(options.runs.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PipelineError(f"{options.runs}: no settings by name of run ({error})") from error
    pack(options.folder, runs, images, options.teacher)
    print(f"{options.folder}: carry it to the machine, run there: python -m program --out OUT, and bring OUT back")
    return OK
