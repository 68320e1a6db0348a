"""``python -m pipeline train --search-minutes M``: look for better settings first, then train with the best."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.commands import command_line
from pipeline.errors import PipelineError
from pipeline.training.settings import Settings
from runtime.text import plural

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.training import RunOptions
    from pipeline.training.search import SearchResult

SHARE_OF_EPOCHS = 5
"""By default a trial trains for the epochs of the whole training divided by this."""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the options."""
    group = parser.add_argument_group(
        "search for settings",
        "Try values of learning rate, weight decay, label smoothing, dropout, weight averaging and augmentation, or "
        "with --teacher of its weight and temperature, judged on the validation images; then train with the best. "
        "Needs Optuna (extra 'search').",
    )
    _add(group)


def _add(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--search-minutes", type=float, metavar="M", help="time for all trials, including those before an interruption"
    )
    group.add_argument(
        "--search-epochs", type=int, metavar="N",
        help=f"epochs of a trial (default: --epochs / {SHARE_OF_EPOCHS}); the final training has --epochs",
    )  # fmt: skip


def wanted(options: argparse.Namespace) -> bool:
    """Return whether to search for settings.

    Raises:
        PipelineError: options contradict each other.
    """
    if options.search_minutes is None and options.search_epochs is not None:
        raise PipelineError("--search-epochs needs --search-minutes M: give both, or leave --search-epochs out")
    if options.search_minutes is not None and options.distribute != "none":
        raise PipelineError(f"--search-minutes runs on one processor: leave --distribute {options.distribute} out")
    return options.search_minutes is not None


def run(
    options: argparse.Namespace,
    training: "Dataset",
    validation: "Dataset",
    settings: Settings,
    run_options: "RunOptions",
) -> "tuple[Settings, RunOptions]":
    """Search, print the result, and return the best settings and how to train with them.

    Raises:
        PipelineError: minutes or epochs are not positive, Optuna is missing, or another search is in the folder.
    """
    from pipeline.training.search import Plan, Search

    epochs = options.search_epochs or max(settings.epochs // SHARE_OF_EPOCHS, 1)
    plan = Plan(options.search_minutes, epochs)
    print(
        f"trials of {plural(epochs, 'epoch')} for {plan.minutes:g} min, then a training of "
        f"{plural(settings.epochs, 'epoch')}",
        file=sys.stderr,
    )
    result = Search(training, validation, options.out, settings, plan, run_options).run()
    print(format_result(result, len(validation), options.typed))
    return result.settings, replace(run_options, restart=run_options.restart or result.has_new_trials)


def format_result(result: "SearchResult", images: int, typed: tuple[str, ...]) -> str:
    """Format the result of a search, with the command that trains with its settings."""
    from pipeline.metrics.significance import share_interval

    low, high = share_interval(result.accuracy, images)
    return (
        f"{plural(result.trials, 'trial')}: the best reached {result.accuracy:.2%} of "
        f"{plural(images, 'validation image')} (95 % interval {low:.1%} to {high:.1%}; the best of many trials is "
        f"also the luckiest), the given settings {result.initial_accuracy:.2%}.\nBest settings: "
        f"{command(result, typed)}"
    )


def command(result: "SearchResult", typed: tuple[str, ...]) -> str:
    """Return the typed command with the best settings instead of the search options."""
    own = argparse.ArgumentParser(add_help=False)
    _add(own)
    own.add_argument("--restart", action="store_true")
    _, kept = own.parse_known_args(list(typed))
    values = [part for name, value in result.values.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return command_line([*kept, *values])
