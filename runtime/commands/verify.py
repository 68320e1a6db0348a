"""``verify``: replay the golden set that a model file carries."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from runtime.commands import FAILED, OK, UNUSABLE, add_json, add_model, positive
from runtime.engines.registry import file_formats, find
from runtime.errors import BackendUnavailableError, ModelError, ModelFileNotFoundError
from runtime.replay import describe, replay_in_child
from runtime.text import for_terminal
from runtime.tuning import TUNING_FILE, model_files, tuned_model

EPILOG = """\
The file carries a few images and what it answered to them where it was built. They are replayed in a child process, for
a file can be made so that its engine dies of it. Of a folder all files are replayed whose engine is installed; what
tune has chosen there, as it has. With --photos, each file that passes also names photos of known labels.

exit status:
  0 PASS: every answer is within the file's tolerance, and with --at-least so many photos are classified correctly;
  1 FAIL; 2 a file is unusable or carries no such images

examples:
  PROGRAM verify model_int8.onnx model_int8.tflite
  PROGRAM verify models/
  PROGRAM verify model_int8.onnx --photos known/ --at-least 37"""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser, several=True)
    add_json(parser, "one JSON object a file")
    parser.add_argument(
        "--photos", metavar="DIR", type=Path, help="also classify the photos in DIR, which has a folder for each class"
    )
    parser.add_argument(
        "--at-least", metavar="N", type=positive, help="fail if fewer of these photos are classified correctly"
    )


def run(options: argparse.Namespace) -> int:
    """Replay every file; one that is unusable does not stop the others."""
    if options.at_least and options.photos is None:
        print("error: --at-least counts photos: give them with --photos DIR", file=sys.stderr)
        return UNUSABLE
    statuses = []
    for path, among_others in _files(options.model, options.engine):
        try:
            result = replay_in_child(path, options.threads, options.engine)
            judged = _judged(path, options) if options.photos and result["passed"] else None
        except BackendUnavailableError as error:
            if not among_others:
                raise
            print(for_terminal(f"left out: {error}"), file=sys.stderr)
            continue
        except ModelError as error:
            print(for_terminal(f"error: {error}"), file=sys.stderr)
            statuses.append(UNUSABLE)
            continue
        passed = result["passed"] and (judged is None or judged["enough"])
        if options.json:
            print(json.dumps(result | (judged or {}) | {"passed": passed}))
        else:
            print(describe(result))
            if judged:
                print(_photo_line(path, judged))
        statuses.append(OK if passed else FAILED)
    return max(statuses, default=UNUSABLE)


def _judged(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The file on the photos that were given; in this process, for the child has shown that the engine runs it."""
    from runtime.acceptance import judge, labeled_photos
    from runtime.classifier import Classifier
    from runtime.image.isolated import IsolatedDecoder

    decoder = IsolatedDecoder()
    try:
        with Classifier(path, options.threads, engine=options.engine, decoder=decoder) as classifier:
            found = judge(classifier, labeled_photos(options.photos, classifier.spec.class_names))
    finally:
        decoder.close()
    enough = found.right >= (options.at_least or 0)
    return {**found._asdict(), "at_least": options.at_least, "enough": enough}


def _photo_line(path: Path, judged: dict[str, Any]) -> str:
    wanted = f", expected at least {judged['at_least']}" if judged["at_least"] else ""
    line = f"{path}: {judged['right']} of {judged['photos']} photos named rightly{wanted}"
    if judged["unreadable"]:
        line += f"; {len(judged['unreadable'])} cannot be read, the first: {judged['unreadable'][0]}"
    return for_terminal(f"{'PASS' if judged['enough'] else 'FAIL'} {line}")


def _files(names: Iterable[str], engine: str | None) -> Iterator[tuple[Path, bool]]:
    """Each file to replay, and whether others would do; the one that ``tune`` chose goes by its folder's name."""
    for path in map(Path, names):
        if not path.is_dir():
            yield path, False
            continue
        suffixes = find(engine).suffixes if engine else tuple(file_formats())
        files = [file for file in model_files(path).values() if file.suffix.lower() in suffixes]
        if not files:
            raise ModelFileNotFoundError(f"{path}: no file there that {engine} reads; expected {', '.join(suffixes)}")
        chosen = tuned_model(path).path if (path / TUNING_FILE).exists() else None
        yield from ((path, False) if file == chosen else (file, True) for file in files)
