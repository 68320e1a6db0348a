"""``verify``: replay the golden set that a model file carries."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.commands import FAILED, OK, UNUSABLE, add_json, add_model
from runtime.engines.registry import file_formats, find
from runtime.errors import BackendUnavailableError, ModelError, ModelFileNotFoundError
from runtime.replay import describe, replay_in_child
from runtime.text import for_terminal
from runtime.tuning import TUNING_FILE, model_files, tuned_model

EPILOG = """\
The file carries a few images and what it answered to them where it was built. They are replayed in a child process, for
a file can be made so that its engine dies of it. Of a folder all files are replayed whose engine is installed; what
tune has chosen there, as it has.

exit status:
  0 PASS: every answer is within the file's tolerance, 1 FAIL, 2 a file is unusable or carries no such images

examples:
  PROGRAM verify model_int8.onnx model_int8.tflite
  PROGRAM verify models/"""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser, several=True)
    add_json(parser, "one JSON object a file")


def run(options: argparse.Namespace) -> int:
    """Replay every file; one that is unusable does not stop the others."""
    statuses = []
    for path, among_others in _files(options.model, options.engine):
        try:
            result = replay_in_child(path, options.threads, options.engine)
        except BackendUnavailableError as error:
            if not among_others:
                raise
            print(for_terminal(f"left out: {error}"), file=sys.stderr)
            continue
        except ModelError as error:
            print(for_terminal(f"error: {error}"), file=sys.stderr)
            statuses.append(UNUSABLE)
            continue
        print(json.dumps(result) if options.json else describe(result))
        statuses.append(OK if result["passed"] else FAILED)
    return max(statuses, default=UNUSABLE)


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
