"""``verify``: replay the golden set that a model file carries."""

import argparse
import json

import numpy as np

from runtime.classifier import Classifier
from runtime.commands import FAILED, OK, add_json, add_model
from runtime.errors import ModelSpecError

EPILOG = """\
The file carries a few images and what it answered to them where it was built.

exit status:
  0 PASS: every answer is within the file's tolerance, 1 FAIL, 2 a file is unusable or carries no such images

example:
  PROGRAM verify model_int8.onnx model_int8.tflite"""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser, several=True)
    add_json(parser, "one JSON object a file")


def run(options: argparse.Namespace) -> int:
    """Replay every file; status 1 when any fails."""
    results = [replay(Classifier(path, options.threads, engine=options.engine)) for path in options.model]
    for result in results:
        print(json.dumps(result) if options.json else _line(result))
    return OK if all(result["passed"] for result in results) else FAILED


def replay(classifier: Classifier) -> dict[str, str | int | float | bool]:
    """Compare the answers here with those that the file carries.

    Raises:
        ModelSpecError: the file carries no golden set.
    """
    golden = classifier.golden()
    if golden is None:
        raise ModelSpecError(
            f"{classifier.path}: carries no golden set to replay: export it anew with python -m pipeline export"
        )
    got = classifier.predict(golden.pixels)
    distance = float(np.abs(got - golden.probabilities).max())
    return {
        "file": str(classifier.path),
        "engine": classifier.backend,
        "images": len(golden.pixels),
        "same_class": int((got.argmax(axis=1) == golden.probabilities.argmax(axis=1)).sum()),
        "max_difference": distance,
        "tolerance": golden.tolerance,
        "passed": distance <= golden.tolerance,  # a NaN is not
    }


def _line(result: dict[str, str | int | float | bool]) -> str:
    return (
        f"{'PASS' if result['passed'] else 'FAIL'} {result['file']} ({result['engine']}): {result['images']} images, "
        f"largest difference {result['max_difference']:.1e} (allowed {result['tolerance']:.1e}), "
        f"same class on {result['same_class']}"
    )
