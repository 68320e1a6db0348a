"""``tune``: find the fastest model file, engine and number of threads for a folder's model on this machine."""

import argparse
import json
import os
import sys
from pathlib import Path

from runtime.benchmark.progress import show_progress
from runtime.benchmark.tuning import candidates, race
from runtime.benchmark.tuning_report import describe, format_tuning
from runtime.commands import FAILED, OK, add_json, duration
from runtime.errors import ModelFileNotFoundError
from runtime.system.machine import examine_machine
from runtime.system.writing import atomic_path, check_writable
from runtime.text import for_terminal
from runtime.tuning import TUNING_FILE

EPILOG = """\
It times every model file of the folder on every installed engine, with 1, 2, … threads up to all processors. A file
takes part only if its golden set passes on the engine. The fastest combination is written to runtime.json in the
folder; Classifier(DIR) and the other commands use it. If several tie, the most accurate is chosen, then the smallest,
then the one with the fewest threads.

exit status:
  0 written, 1 no golden set passes (the lines say why), 2 the folder is unusable

example:
  PROGRAM tune models/ && PROGRAM classify models/ photo.jpg"""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of model files")
    parser.add_argument(
        "--seconds", type=duration, metavar="S", default=1.0, help="approximate seconds per contender (default: 1)"
    )
    add_json(parser, "print the content of runtime.json")


def run(options: argparse.Namespace) -> int:
    """Replay golden sets, measure, choose, and write ``runtime.json``."""
    if not options.folder.is_dir():
        raise ModelFileNotFoundError(f"{options.folder}: not a folder; expected one with model files")
    check_writable(options.folder / TUNING_FILE)
    with show_progress() as say:
        found = candidates(options.folder, say)
    for each in found:
        if not each.passed:
            print(for_terminal(f"left out: {each.path.name} on {each.engine.title}: {each.reason}"), file=sys.stderr)
    passing = [each for each in found if each.passed]
    if not passing:
        print(f"error: {options.folder}: no golden set passes; nothing is written", file=sys.stderr)
        return FAILED
    load_average = os.getloadavg()[0]
    with show_progress() as say:
        races = race(passing, options.seconds, say)
    choice = describe(races, examine_machine(Path("/")), load_average)
    with atomic_path(options.folder / TUNING_FILE) as temporary:
        temporary.write_text(choice.to_json(), encoding="utf-8")
    print(json.dumps(json.loads(choice.to_json())) if options.json else format_tuning(choice, options.folder))
    return OK
