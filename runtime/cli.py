"""The command line of the device: ``python -m runtime classify MODEL IMAGE…``."""

import argparse
import json
import os
import sys

from runtime.classifier import Classifier, Prediction
from runtime.errors import EdgecnnError, ImageError

OK, SOME_FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m runtime", description="Classify photos with a model file.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    classify = commands.add_parser(
        "classify",
        help="name what each image shows, a line an image",
        description="Name what each image shows, a line an image. Exit status: 0 all classified, "
        "1 some image failed (its line says why), 2 the model or the arguments are unusable.",
        epilog="example: python -m runtime classify model_int8.onnx photo.jpg --top 3",
    )
    classify.add_argument("model", metavar="MODEL", help="an .onnx or .tflite file")
    classify.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    classify.add_argument("--top", type=_positive, default=5, help="how many classes to list (default: 5)")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    classify.add_argument("--threads", type=_positive, default=1, help="processor threads (default: 1)")
    return parser.parse_args(arguments)


def _format(file: str, prediction: Prediction, *, as_json: bool) -> str:
    if not as_json:
        return f"{file}: " + ", ".join(f"{label} {probability:.1%}" for label, probability in prediction.top)
    top = [{"label": label, "probability": probability} for label, probability in prediction.top]
    return json.dumps({"file": file, "label": prediction.label, "probability": prediction.probability, "top": top})


def _format_error(file: str, error: ImageError, *, as_json: bool) -> str:
    text = str(error)
    if as_json:
        return json.dumps({"file": file, "error": text})
    return text if text.startswith(file) else f"{file}: {text}"


def run(options: argparse.Namespace) -> int:
    """Classify every image; one that fails does not stop the rest."""
    classifier = Classifier(options.model, options.threads)
    status = OK
    for file in options.images:
        try:
            line = _format(file, classifier.classify(file, options.top), as_json=options.json)
        except ImageError as error:
            line, status = _format_error(file, error, as_json=options.json), SOME_FAILED
        print(line, flush=True)
    return status


def main(arguments: list[str] | None = None) -> int:
    """Entry point; never shows a traceback for what a user can cause."""
    options = parse(arguments)
    try:
        return run(options)
    except EdgecnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; keep the interpreter from flushing into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
