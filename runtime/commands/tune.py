"""``tune``: the fastest way to run the model of a folder here."""

import argparse
import hashlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.choice import CHOICE_FILE, FORMAT, VERSION
from runtime.commands import FAILED, OK, add_json, positive
from runtime.errors import ModelFileNotFoundError
from runtime.files import write_json
from runtime.machine import examine_machine
from runtime.tuning import Race, candidates, race, reason

EPILOG = """\
Every model file of the folder, on every engine that is installed, with 1, 2, … threads up to all processors. Those
whose golden set passes take turns on its images; the fastest is written to runtime.json in the folder, which
Classifier(DIR) and the other commands then go by. Of those that tie, the most accurate is taken, then the smallest.

exit status:
  0 written, 1 no golden set passes (the lines say why), 2 the folder is unusable

example:
  PROGRAM tune models/ && PROGRAM classify models/ photo.jpg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of model files")
    parser.add_argument("--seconds", type=positive, default=1, help="time for each contender, about (default: 1)")
    add_json(parser, "print what is written")


def run(options: argparse.Namespace) -> int:
    """Try, measure, choose and write."""
    if not options.folder.is_dir():
        raise ModelFileNotFoundError(f"{options.folder}: not a folder; expected one with model files")
    found = candidates(options.folder, _say)
    passing = [each for each in found if each.passed]
    for each in found:
        if not each.passed:
            print(f"left out: {each.path.name} on {each.engine.title}: {each.says}", file=sys.stderr)
    if not passing:
        print(f"error: {options.folder}: no golden set passes; nothing is written", file=sys.stderr)
        return FAILED
    load_average = os.getloadavg()[0]
    races = race(passing, options.seconds, _say)
    document = describe(races, examine_machine(Path("/"))) | {"load_average": load_average}
    write_json(options.folder / CHOICE_FILE, document)
    print(json.dumps(document) if options.json else _text(document, options.folder))
    return OK


def describe(races: list[Race], machine: dict[str, Any]) -> dict[str, Any]:
    """What ``runtime.json`` holds."""
    winner = races[-1].best.contender
    won = next(each for each in races if each.best.contender is winner)
    classifier = winner.classifier
    timed = {each.contender.name: each for part in reversed(races) for each in part.timed}
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "artifact": classifier.path.name,
        "sha256": hashlib.sha256(classifier.path.read_bytes()).hexdigest(),
        "engine": classifier.backend,
        "threads": classifier.threads,
        "reason": reason(won, machine["features"]),
        "device": {name: machine[name] for name in ("board", "processor", "features") if name in machine},
        "tried": [
            {
                "artifact": each.contender.classifier.path.name,
                "engine": each.contender.classifier.backend,
                "threads": each.contender.classifier.threads,
                "p50_us": each.p50_us,
            }
            for each in sorted(timed.values(), key=lambda each: each.p50_us)
        ],
    }


def _text(document: dict[str, Any], folder: Path) -> str:
    rows = document["tried"]
    width = max(len(row["artifact"]) for row in rows)
    lines = [f"One image, medians of rounds in turn, load average {document['load_average']:.1f}; microseconds:"]
    lines.append(f"{'file':<{width}}  {'engine':<14}{'threads':>7}{'p50':>10}")
    lines += [
        f"{row['artifact']:<{width}}  {row['engine']:<14}{row['threads']:>7}{row['p50_us']:>10.1f}" for row in rows
    ]
    return "\n".join([*lines, document["reason"], f"Written: {folder / CHOICE_FILE}"])


def _say(text: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr)
