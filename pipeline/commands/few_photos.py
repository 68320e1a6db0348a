"""``python -m pipeline train --data DIR`` with a pretrained network: options, run and the text printed at the end."""

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.commands import photo_options, student
from pipeline.documents.history import History
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.errors import PipelineError
from pipeline.training.settings import Settings
from pipeline.training.transfer.plan import DEFAULT_MINUTES, plan
from runtime.text import for_terminal, plural

if TYPE_CHECKING:
    from pipeline.data.folder import Photos
    from pipeline.training.transfer.backbone import Backbone

LISTED = 10
WORTH_SAYING = 0.005
"""The smallest gain in accuracy (share, 0-1) from twice the photos that is stated as a number."""
TELLING = 0.8
"""Accuracy (share, 0-1) from mean color and contrast alone, from which on a warning is printed."""
SHARED = frozenset({"model", "seed"})
"""Settings of training from scratch that also apply to a pretrained network."""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the options."""
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, metavar="M",
        help="time for a pretrained network; --side and --views are chosen to fit in it (default: %(default)g)",
    )  # fmt: skip
    group = parser.add_argument_group("few photos (a pretrained network with a new last layer)")
    group.add_argument(
        "--views", type=int, metavar="N", help="augmented views of each photo (default: 4, or by --minutes)"
    )
    group.add_argument(
        "--backbone", type=Path, metavar="FILE",
        help="a .keras classifier whose layers before its last dense layer are the pretrained network",
    )  # fmt: skip
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="file with the weights of --model, for machines without a network"
    )
    student.add(group)
    group.add_argument(
        "--open-stages", action="store_true",
        help="also train the last stages, and keep the result if cross-validation finds it better; takes another "
        "--minutes",
    )  # fmt: skip
    group.add_argument("--from-scratch", action="store_true", help="train --model from random weights instead")


def wanted(options: argparse.Namespace) -> bool:
    """Return whether a pretrained network is to be trained.

    If the options name no network, sets ``options.model`` and prints the reason on stderr.

    Raises:
        PipelineError: options contradict each other.
    """
    from pipeline.models.efficientnet_lite import INSTALL, find_weights
    from pipeline.models.pretrained import DEFAULT, PRETRAINED, SIDES

    student.choose(options, PRETRAINED, DEFAULT)
    if options.student or options.backbone or options.model in PRETRAINED:
        _refuse_unfit(options, options.backbone or options.model)
        return True
    why = ""
    if not (options.model or options.from_scratch) and options.data:
        changed = _changed(options) + [f"--side {options.side}"] * (options.side not in (None, *SIDES))
        changed += ["--width"] * (options.width is not None)
        if changed:
            why = f"since {changed[0]} applies only to that"
        elif find_weights() is None:
            why = f"since the weights of {DEFAULT} are missing: {INSTALL}"
        else:
            said = "it has seen a million pictures; --from-scratch trains a small network"
            print(f"{DEFAULT} is taken: {said}", file=sys.stderr)
            options.model = DEFAULT
            return True
    options.model = options.model or Settings().model
    _refuse_useless(options, why)
    if why:
        print(f"{options.model} is trained from scratch, {why}", file=sys.stderr)
    return False


def _refuse_unfit(options: argparse.Namespace, name: object) -> None:
    if not options.data:
        raise PipelineError(f"{name} is fitted to photos of your own: give their folder with --data DIR")
    if options.from_scratch:
        raise PipelineError(
            f"--from-scratch trains notes, resnet8, vgg8, separable or teacher; {name} is pretrained: leave one out"
        )
    if options.backbone and (options.model or options.weights):
        raise PipelineError(
            f"{name} has its own network and weights: leave {'--model' if options.model else '--weights'} out"
        )
    if options.height or options.width:
        raise PipelineError(
            f"{name} is fitted to squares: give --side, or train a network from scratch (--from-scratch) for "
            "--height and --width"
        )
    if options.distribute == "multiworker":
        raise PipelineError(f"{name} is fitted on one machine: leave --distribute out, or give --distribute mirrored")
    changed = _changed(options)
    if changed:
        raise PipelineError(
            f"{name} is fitted in one step: {', '.join(changed)} does not apply to it; leave it out, or train a "
            "network with --from-scratch"
        )


def _refuse_useless(options: argparse.Namespace, why: str) -> None:
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("weights", "views", "open_stages")
        if getattr(options, name) not in (None, False)
    ]
    given += ["--minutes"] * (options.minutes != DEFAULT_MINUTES)
    if given:
        raise PipelineError(
            f"{', '.join(given)} is for pretrained networks, and {options.model} is trained from scratch"
            f"{f', {why}' if why else '; leave it out, or take a pretrained network with --model'}"
        )


def _changed(options: argparse.Namespace) -> list[str]:
    """Return the given options that apply only to training from scratch, each with its dashes."""
    changed = [
        setting.name
        for setting in fields(Settings)
        if setting.name not in SHARED and getattr(options, setting.name) != setting.default
    ]
    without = ("teacher", "initial_model", "tensorboard", "search_minutes", *["restart"] * (not options.student))
    changed += [name for name in without if getattr(options, name)]
    changed += ["distribute multiworker"] * (options.distribute == "multiworker")  # features stay on one machine
    return [f"--{name.replace('_', '-')}" for name in changed]


def run(options: argparse.Namespace) -> "tuple[str, Photos]":
    """Read the photos, fit the network and write it; return the text to print at the end, and the photos."""
    from pipeline.data.scan import TRAINING, scan
    from pipeline.training.transfer.backbone import of_file
    from pipeline.training.transfer.run import FitSettings, fit_to_photos, fitted_before
    from pipeline.training.transfer.student import TEACHER_FOLDER, FittedTeacher

    listed = [file for file in scan(options.data, options.none).files if file.part in ("", TRAINING)]
    if options.student:
        options.student_side, options.side = options.side or student.DEFAULT_SIDE, None
    backbone = _of_file(options) if options.backbone else None
    minutes = options.minutes / 2 if options.student else options.minutes
    chosen = plan(len(listed), minutes, backbone.side if backbone else options.side, options.views)
    print(chosen.why, file=sys.stderr)
    options.side, options.any_side = chosen.side, True
    photo_settings = photo_options.settings(options)
    backbone = _on_devices(backbone or _named(options), options)
    photos = photo_options.read(options.data, photo_settings)
    out = options.out / TEACHER_FOLDER if options.student else options.out
    settings = FitSettings(chosen.views, options.seed, minutes if options.open_stages else 0.0)
    # The student's unfinished training names the file of its teacher, which must stay the same file.
    known = fitted_before(photos, backbone, settings, out) if options.student else None
    history = known or fit_to_photos(photos, backbone, settings, out, photo_settings)
    if not options.student:
        return format_result(history), photos
    print(f"{format_result(history)}\n")
    if history.opened and history.opened.kept:
        backbone = _on_devices(of_file(out / artifacts.MODEL_KERAS), options)
    teacher = FittedTeacher(out, backbone, photos.training, chosen.views)
    return student.format_result(student.run(options, teacher, photos, photo_settings)), photos


def _on_devices(backbone: "Backbone", options: argparse.Namespace) -> "Backbone":
    """Return the backbone, set to run on all accelerators of this machine with ``--distribute mirrored``."""
    if options.distribute == "none":
        return backbone
    from pipeline.training import distribution

    return replace(backbone, strategy=distribution.strategy(options.distribute))


def _named(options: argparse.Namespace) -> "Backbone":
    from pipeline.training.transfer.backbone import named

    return named(options.model, options.side, options.weights)


def _of_file(options: argparse.Namespace) -> "Backbone":
    from pipeline.training.transfer.backbone import of_file

    backbone = of_file(options.backbone)
    if options.side not in (None, backbone.side):
        raise PipelineError(f"{options.backbone} takes {backbone.side} pixels: leave --side out, got {options.side}")
    return backbone


def format_result(history: History) -> str:
    """Format the text printed at the end: the accuracy, and what would improve it.

    Raises:
        PipelineError: the history has no cross-validation.
    """
    found = history.out_of_fold
    if found is None:
        raise PipelineError("the history has no cross-validation")
    repeated = f", {found.repeats} times" if found.repeats > 1 else ""
    return (
        f"Accuracy {found.accuracy:.1%} on {plural(found.images, 'photo')} (95 % interval {found.low:.1%} to "
        f"{found.high:.1%}),\n"
        f"each judged by a network that did not learn from it (out of fold; {found.folds} folds{repeated}).\n"
        f"{_of_stages(history)}\n"
        "What would help:\n" + "\n".join(f"- {line}" for line in advice(found))
    )


def _of_stages(history: History) -> str:
    if (tried := history.opened) is None:
        return ""
    return (
        f"Last stages trained, too: {tried.opened:.1%} instead of {tried.frozen:.1%} out of fold "
        f"(p = {tried.p_value:.2g}), {'and kept' if tried.kept else 'not kept: no more than chance explains'}.\n"
    )


def advice(found: OutOfFold) -> list[str]:
    """List what would make the network more accurate, a sentence each, the most useful first."""
    return [
        *_of_more_photos(found),
        *_of_classes(found),
        *_of_light(found),
        *(for_terminal(row.sentence) for row in found.shortcut_features),
        *_of_suspects(found),
        *_of_pairs(found),
        *_of_copies(found),
    ]


def _of_more_photos(found: OutOfFold) -> list[str]:
    shown = ", ".join(f"{point.accuracy:.1%} with {point.photos_a_class:.0f}" for point in found.curve)
    if found.gain_of_twice is None:
        verdict = "more photos of the same kind would hardly help, or there are too few to tell"
    elif found.gain_of_twice < WORTH_SAYING:
        verdict = "twice as many photos would bring less than half a point"
    else:
        verdict = f"twice as many photos would bring about {100 * found.gain_of_twice:.1f} points"
    return [f"Photos: {shown} a class; {verdict}."]


def _of_classes(found: OutOfFold) -> list[str]:
    return [
        f"Class {for_terminal(row.name)}: {row.found:.0f} of {row.photos} found"
        + (f", the others mostly taken for {for_terminal(row.taken_for)}." if row.taken_for else ".")
        for row in found.classes[:3]
        if row.found < row.photos
    ]


def _of_suspects(found: OutOfFold) -> list[str]:
    if not found.suspects:
        return []
    lines = [
        f"  {for_terminal(row.path)}: looks like {for_terminal(row.taken_for)}, {row.label} {row.probability:.0%}"
        for row in found.suspects[:LISTED]
    ]
    more = len(found.suspects) - LISTED
    lines += [f"  … and {more} more in history.json"] if more > 0 else []
    return ["Look at these photos; they may lie in the wrong folder, or show their class badly:\n" + "\n".join(lines)]


def _of_light(found: OutOfFold) -> list[str]:
    largest = max((row.photos for row in found.classes), default=0) / found.images
    plain = found.plain_accuracy
    if plain is None or plain < TELLING or 1 - plain > (1 - largest) / 2:
        return []
    sentence = (
        f"Mean color and contrast alone tell {plain:.0%} of the photos apart: photograph all classes in the same light "
        "and before the same backgrounds, or the network may learn those."
    )
    return [sentence]


def _of_pairs(found: OutOfFold) -> list[str]:
    if not found.between_classes:
        return []
    pairs = [f"  {for_terminal(one)} and {for_terminal(other)}" for one, other in found.between_classes[:LISTED]]
    more = len(found.between_classes) - LISTED
    pairs += [f"  … and {more} more in history.json"] if more > 0 else []
    return ["These look alike and lie in different classes:\n" + "\n".join(pairs)]


def _of_copies(found: OutOfFold) -> list[str]:
    if not found.look_alike:
        return []
    counted = f"; the interval is that of {plural(round(found.effective), 'photo')}" if found.effective else ""
    alike = f"{found.look_alike:.0f} photos look like another one and add little{counted}"
    return [f"{alike}: take photos at other places and times."]
