"""``verify``: replay the golden sets of model files; with ``--photos``, also classify labeled photos."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.commands import FAILED, OK, UNUSABLE, add_json, add_model, positive
from runtime.engines.registry import file_formats, find
from runtime.errors import BackendUnavailableError, ModelError, ModelFileNotFoundError
from runtime.replay import describe, replay_in_child
from runtime.text import for_terminal, plural
from runtime.tuning import TUNING_FILE, model_files, tuned_model

EPILOG = """\
A model file contains a golden set: a few images and the probabilities that the file gave where it was exported. They
are replayed in a child process, because a crafted file can crash its engine. For a folder, all files whose engine is
installed are replayed; the file that tune chose is replayed with tune's engine and threads. With --photos, each file
that passes also classifies labeled photos.

exit status:
  0 PASS: every probability is within the file's tolerance, and at least the --at-least number of photos is classified
  correctly; 1 FAIL; 2 a file is unusable or has no golden set

examples:
  PROGRAM verify model_int8.onnx model_int8.tflite
  PROGRAM verify models/
  PROGRAM verify model_int8.onnx --photos known/ --at-least 37"""


@dataclass(frozen=True)
class _PhotosJudged:
    """The result on labeled photos, as it is printed in JSON.

    Attributes:
        photos, right: the number of photos, and of those that are classified correctly.
        unreadable: path and reason for each photo that cannot be decoded.
        at_least: the number that must be classified correctly; ``None`` if none was given.
        enough: whether that many are.
    """

    photos: int
    right: int
    unreadable: tuple[str, ...]
    at_least: int | None
    enough: bool


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    add_model(parser, several=True)
    add_json(parser, "print one JSON object per file")
    parser.add_argument(
        "--photos", metavar="DIR", type=Path, help="also classify the photos in DIR, which has one folder per class"
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
            judged = _judged(path, options) if options.photos and result.passed else None
        except BackendUnavailableError as error:
            if not among_others:
                raise
            print(for_terminal(f"left out: {error}"), file=sys.stderr)
            continue
        except ModelError as error:
            print(for_terminal(f"error: {error}"), file=sys.stderr)
            statuses.append(UNUSABLE)
            continue
        passed = result.passed and (judged is None or judged.enough)
        if options.json:
            print(json.dumps(asdict(result) | (asdict(judged) if judged else {}) | {"passed": passed}))
        else:
            print(describe(result))
            if judged:
                print(_photo_line(path, judged))
        statuses.append(OK if passed else FAILED)
    return max(statuses, default=UNUSABLE)


def _judged(path: Path, options: argparse.Namespace) -> _PhotosJudged:
    """Classify the labeled photos, in this process: the replay has shown that the engine can run the file."""
    from runtime.acceptance import count_correct, labeled_photos
    from runtime.classifier import Classifier
    from runtime.image.isolated import IsolatedDecoder

    decoder = IsolatedDecoder()
    try:
        with Classifier(path, options.threads, engine=options.engine, decoder=decoder) as classifier:
            found = count_correct(classifier, labeled_photos(options.photos, classifier.spec.class_names))
    finally:
        decoder.close()
    return _PhotosJudged(
        photos=found.photos,
        right=found.correct,
        unreadable=found.unreadable,
        at_least=options.at_least,
        enough=found.correct >= (options.at_least or 0),
    )


def _photo_line(path: Path, judged: _PhotosJudged) -> str:
    wanted = f", expected at least {judged.at_least}" if judged.at_least else ""
    line = f"{path}: {judged.right} of {plural(judged.photos, 'photo')} classified correctly{wanted}"
    if judged.unreadable:
        line += f"; {len(judged.unreadable)} cannot be read, the first: {judged.unreadable[0]}"
    return for_terminal(f"{'PASS' if judged.enough else 'FAIL'} {line}")


def _files(names: Iterable[str], engine: str | None) -> Iterator[tuple[Path, bool]]:
    """Yield each file to replay, and whether it is optional because its folder has others.

    The file that ``tune`` chose is yielded as its folder, so that it is loaded with the tuned engine and threads.
    """
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
