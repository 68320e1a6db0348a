"""``inspect``: print a model file's spec, tensors, size and SHA-256."""

import argparse
import hashlib
import json
from dataclasses import asdict
from typing import Any

from runtime.classifier import Classifier
from runtime.commands import OK, add_json
from runtime.engines.base import MAX_MODEL_BYTES
from runtime.spec import OUT_OF_FOLD
from runtime.system.files import read_regular
from runtime.text import for_terminal

PROVENANCE = {
    "keras_sha256": "Keras file",
    "calibration_sha256": "calibration set",
    "validation_sha256": "validation set",
    "config": "int8 config",
}
"""Titles of entries of the spec's ``provenance``; other entries are shown under their own names."""

EPILOG = """\
exit status:
  0 shown, 2 the file is unusable

example:
  PROGRAM inspect model_int8.onnx --json"""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model file, such as model_int8.onnx; or a folder of them")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the description."""
    card = describe(Classifier(options.model))
    print(json.dumps(card, indent=2) if options.json else as_text(card))
    return OK


def describe(classifier: Classifier) -> dict[str, Any]:
    """Return the size, SHA-256, tensors and spec of the loaded file, as JSON-compatible values."""
    content, golden = read_regular(classifier.path, MAX_MODEL_BYTES), classifier.golden()
    return {
        "file": str(classifier.path),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "engine": classifier.backend,
        "inputs": [str(tensor) for tensor in classifier.inputs],
        "outputs": [str(tensor) for tensor in classifier.outputs],
        "golden_images": 0 if golden is None else len(golden.pixels),
        **asdict(classifier.spec),
        "accuracy_on": classifier.spec.accuracy_on,
        "multi_label": classifier.multi_label,
        "thresholds": classifier.spec.label_thresholds if classifier.multi_label else None,
    }


def as_text(card: dict[str, Any]) -> str:
    """Format the description as lines of a name and a text."""
    known = card["accuracy"] is not None
    accuracy = (
        f"{card['accuracy']:.2%} on {card['accuracy_images']:,} {card['accuracy_on']}" if known else "not recorded"
    )
    rows = {
        "file": card["file"],
        "size": f"{card['bytes'] / 1024:,.0f} KiB",
        "SHA-256": card["sha256"],
        "engine": card["engine"],
        "input": "; ".join(card["inputs"]),
        "output": "; ".join(card["outputs"]),
        "precision": card["precision"],
        "accuracy": accuracy,
        "classes": f"{len(card['class_names'])}: {', '.join(card['class_names'][:20])}"
        + (", …" if len(card["class_names"]) > 20 else ""),
        "photo to pixels": f"{card['resize']}, {card['resize_filter']}, side {card['side']}, fill {card['fill']}",
        "scaling": f"pixel * {_numbers(card['scale'])} + {_numbers(card['offset'])}",
        **({"labels from": _thresholds(card)} if card["multi_label"] else {}),
        "temperature": f"{card['temperature']:g}",
        "confident from": _confidence(card),
        "known from": "not told apart" if card["known_threshold"] is None else f"score {card['known_threshold']:.4g}",
        "golden images": str(card["golden_images"]),
        **_provenance(card["provenance"]),
    }
    return "\n".join(for_terminal(f"{name:<16} {value}") for name, value in rows.items())


def _provenance(stated: dict[str, str]) -> dict[str, str]:
    """Format the spec's provenance, except the origin of the accuracy, which is shown beside the accuracy."""
    return {
        PROVENANCE.get(name, name): f"SHA-256 {text}" if name.endswith("_sha256") else text
        for name, text in stated.items()
        if (name, text) != ("accuracy", OUT_OF_FOLD)
    }


def _confidence(card: dict[str, Any]) -> str:
    """Format the confidence threshold, and its precision and coverage if known."""
    threshold, precision, kept = card["confidence_threshold"], card["confidence_precision"], card["confidence_kept"]
    if precision is None or kept is None:
        return f"{threshold:.0%}"
    return (
        f"{threshold:.2%}: {100 * precision:g}% of such predictions are correct; {kept:.1%} of "
        f"{card['confidence_images']:,} validation images reach it"
    )


def _thresholds(card: dict[str, Any]) -> str:
    listed = [f"{name} {value:.3g}" for name, value in zip(card["class_names"], card["thresholds"], strict=True)]
    return ", ".join(listed[:20]) + (", …" if len(listed) > 20 else "")


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:.6g}" if len(set(values)) == 1 else f"({', '.join(f'{value:.6g}' for value in values)})"
