"""``inspect``: print a model file's spec, tensors, size and SHA-256."""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.classifier import Classifier
from runtime.commands import OK, add_json
from runtime.engines.base import MAX_MODEL_BYTES
from runtime.spec import OUT_OF_FOLD, ModelSpec
from runtime.system.files import read_regular
from runtime.text import for_terminal

SHOWN = 20
"""Number of classes that are listed."""
FEW_IMAGES = 30
"""The accuracy on fewer images is shown as a count."""

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
    print(json.dumps(card.to_json(), indent=2) if options.json else as_text(card))
    return OK


@dataclass(frozen=True)
class Card:
    """A model file: name, size in bytes, SHA-256, engine, tensors, number of golden images, and spec.

    ``thresholds`` has a probability (0-1) for each label of a multi-label model; ``None`` if the model has one label.
    """

    file: str
    bytes: int
    sha256: str
    engine: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    golden_images: int
    spec: ModelSpec
    thresholds: tuple[float, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints: the fields of the spec stand beside the others."""
        card = asdict(self)
        spec, thresholds = card.pop("spec"), card.pop("thresholds")
        judged = {"accuracy_on": self.spec.accuracy_on, "multi_label": thresholds is not None}
        return {**card, **spec, **judged, "thresholds": thresholds}


def describe(classifier: Classifier) -> Card:
    """Describe the loaded file."""
    content, golden = read_regular(classifier.path, MAX_MODEL_BYTES), classifier.golden()
    return Card(
        file=str(classifier.path),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        engine=classifier.backend,
        inputs=tuple(map(str, classifier.inputs)),
        outputs=tuple(map(str, classifier.outputs)),
        golden_images=0 if golden is None else len(golden.pixels),
        spec=classifier.spec,
        thresholds=classifier.spec.label_thresholds if classifier.multi_label else None,
    )


def _accuracy(spec: ModelSpec) -> str:
    if spec.accuracy is None:
        return "not recorded"
    images = spec.accuracy_images
    share = f"{spec.accuracy * images:.0f} of" if images < FEW_IMAGES else f"{spec.accuracy:.2%} on"
    return f"{share} {images:,} {spec.accuracy_on}"


def as_text(card: Card) -> str:
    """Format the description as lines of a name and a text."""
    spec = card.spec
    rows = {
        "file": card.file,
        "size": f"{card.bytes / 1024:,.0f} KiB",
        "SHA-256": card.sha256,
        "engine": card.engine,
        "input": "; ".join(card.inputs),
        "output": "; ".join(card.outputs),
        "precision": spec.precision,
        "accuracy": _accuracy(spec),
        "classes": f"{len(spec.class_names)}: {_first(spec.class_names)}",
        "photo to pixels": f"{spec.resize}, {spec.resize_filter}, side {spec.side}, fill {spec.fill}",
        "scaling": f"pixel * {_numbers(spec.scale)} + {_numbers(spec.offset)}",
        **({"labels from": _thresholds(spec.class_names, card.thresholds)} if card.thresholds else {}),
        "temperature": f"{spec.temperature:g}",
        "confident from": _confidence(spec),
        "known from": "not told apart" if spec.known_threshold is None else f"score {spec.known_threshold:.4g}",
        "golden images": str(card.golden_images),
        **_provenance(spec.provenance),
    }
    return "\n".join(for_terminal(f"{name:<16} {value}") for name, value in rows.items())


def _provenance(stated: dict[str, str]) -> dict[str, str]:
    """Format the spec's provenance, except the origin of the accuracy, which is shown beside the accuracy."""
    return {
        PROVENANCE.get(name, name): f"SHA-256 {text}" if name.endswith("_sha256") else text
        for name, text in stated.items()
        if (name, text) != ("accuracy", OUT_OF_FOLD)
    }


def _confidence(spec: ModelSpec) -> str:
    """Format the confidence threshold, and its precision and coverage if known."""
    if spec.confidence_precision is None or spec.confidence_kept is None:
        return f"{spec.confidence_threshold:.0%}"
    return (
        f"{spec.confidence_threshold:.2%}: {100 * spec.confidence_precision:g}% of such predictions are correct; "
        f"{spec.confidence_kept:.1%} of {spec.confidence_images:,} validation images reach it"
    )


def _thresholds(names: Sequence[str], thresholds: Sequence[float]) -> str:
    return _first([f"{name} {value:.3g}" for name, value in zip(names, thresholds, strict=True)])


def _first(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (", …" if len(texts) > SHOWN else "")


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:.6g}" if len(set(values)) == 1 else f"({', '.join(f'{value:.6g}' for value in values)})"
