"""The model spec: one JSON text inside the model file that says how to feed it and what it answers.

In ONNX it is the ``metadata_props`` entry named ``SPEC_KEY``; in TFLite a file of the ZIP archive appended to the
flatbuffer, as the TFLite metadata convention has it (https://ai.google.dev/edge/litert/models/metadata).
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from runtime.errors import ModelSpecError
from runtime.system.files import parse_json

SPEC_KEY = "edgecnn_spec"
SPEC_FILE = "edgecnn_spec.json"
GOLDEN_KEY = "edgecnn_golden"
GOLDEN_FILE = "edgecnn_golden.json"
OUT_OF_FOLD = "out of fold"
"""What ``provenance`` says of an ``accuracy`` that rests on cross-validation."""
VERSION = 2
RESIZE_POLICIES = ("stretch", "crop", "pad")
NO_ANTIALIAS = "bilinear-no-antialias"
RESIZE_FILTERS = ("box", "bilinear", "bicubic", "lanczos", NO_ANTIALIAS)
MAX_SIDE = 4096
OUTPUTS = ("softmax", "logits", "sigmoid")
NONE_CLASS = "none"
"""The name of the class for pictures that show none of the others."""
PRECISIONS = ("fp32", "fp16", "int8", "dynamic")


@dataclass(frozen=True)
class ModelSpec:
    """How to feed a model file and how to read its answer.

    Attributes:
        side: height of the input in pixels, and its width unless ``width`` says otherwise.
        width: of the input in pixels, where it is not ``side``. Written to JSON only then.
        class_names: one name a class, in output order.
        precision: ``fp32``, ``fp16`` (weights), ``int8``, or ``dynamic`` (int8 weights, float activations).
        resize: how a photo becomes a square: ``stretch`` ignores the aspect ratio, ``crop`` cuts the largest centered
            square, ``pad`` letterboxes on ``fill``.
        resize_filter: Pillow's name of the filter, which weighs all pixels; or ``bilinear-no-antialias``, which looks
            at four a new pixel, as TensorFlow's and Keras's resizing does by default.
        fill: RGB 0-255 of the letterbox and of what lies behind transparency.
        ignore_orientation: leave photos as they are stored, though their EXIF says how they are turned. Written to
            JSON only where it is true, so that earlier runtimes read all other files.
        scale, offset: one of each a channel; the graph itself computes ``pixel * scale + offset`` before its first
            layer, the caller always gives plain 0-255 pixels.
        output: what the graph answers with: ``softmax`` (probabilities), ``logits`` (of which softmax is taken here) or
            ``sigmoid`` (a probability for each label by itself; rows sum to anything). A graph that answers two classes
            with one number gives that of the second. ``None``: probabilities in a file that carries its spec; of other
            files, as their last operator has it.
        thresholds: of a multi-label model, for each class the probability (0-1) from which on an image has that label;
            ``None`` is 0.5 for all. Written to JSON only where they are given.
        temperature: what the logits are divided by inside the graph; 1 leaves them as trained.
        confidence_threshold: probability (0-1) below which a prediction is not confident; 0: every one is.
        confidence_precision: share (0-1) of the answers that reach the threshold that is right with 95 % confidence at
            least; ``None`` where the threshold was not chosen for one. Written to JSON, with the next two, only then.
        confidence_kept: share (0-1) of the validation images whose answers reach it.
        confidence_images: how many validation images chose it.
        known_threshold: of the graph's second output, ``familiarity``: an image that scores lower shows none of the
            classes. ``None`` where the graph has no such output.
        accuracy: share (0-1) of ``accuracy_images`` validation images that this file itself classifies rightly, images
            that neither trained nor calibrated it; ``None`` if unknown. Where ``provenance`` has ``OUT_OF_FOLD`` as
            ``accuracy``, of photos that were each judged by a network that did not learn from it.
        accuracy_images: how many that were.
        validation: how the validation images look and what the file answers to them, as
            ``runtime.drift.statistics.picture`` has it; what a device compares with. Written to JSON where it is known.
        provenance: where the file comes from, e.g. the SHA-256 of the Keras file.
        version: version of this format.
    """

    side: int
    class_names: tuple[str, ...]
    precision: str = "fp32"
    resize: str = "stretch"
    resize_filter: str = "bilinear"
    fill: tuple[int, int, int] = (255, 255, 255)
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    output: str | None = None
    temperature: float = 1.0
    confidence_threshold: float = 0.0
    confidence_precision: float | None = None
    confidence_kept: float | None = None
    confidence_images: int = 0
    known_threshold: float | None = None
    accuracy: float | None = None
    accuracy_images: int = 0
    provenance: dict[str, str] = field(default_factory=dict)
    version: int = VERSION
    ignore_orientation: bool = False
    width: int | None = None
    thresholds: tuple[float, ...] | None = None
    validation: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ModelSpecError(
                f"model spec has version {self.version!r}, this runtime reads {VERSION}: update one of both"
            )
        names, fill, provenance = self.class_names, self.fill, self.provenance
        self._require("side", f"a whole number 1-{MAX_SIDE}", _is_whole(self.side, 1, MAX_SIDE))
        wide = self.width is None or _is_whole(self.width, 1, MAX_SIDE)
        self._require("width", f"a whole number 1-{MAX_SIDE} or None", wide)
        named = isinstance(names, tuple) and len(names) >= 2 and all(_is_name(name) for name in names)
        self._require("class_names", "two or more non-empty names without control characters", named)
        for name, allowed in (
            ("precision", PRECISIONS),
            ("resize", RESIZE_POLICIES),
            ("resize_filter", RESIZE_FILTERS),
        ):
            self._require(name, f"one of {', '.join(allowed)}", getattr(self, name) in allowed)
        self._require("output", f"one of {', '.join(OUTPUTS)} or None", self.output is None or self.output in OUTPUTS)
        filled = isinstance(fill, tuple) and len(fill) == 3 and all(_is_whole(value, 0, 255) for value in fill)
        self._require("fill", "three whole numbers 0-255", filled)
        for name in ("scale", "offset"):
            values = getattr(self, name)
            good = isinstance(values, tuple) and len(values) == 3 and all(_is_number(value) for value in values)
            self._require(name, "three finite numbers, one a channel", good)
        self._require("ignore_orientation", "true or false", isinstance(self.ignore_orientation, bool))
        self._require("temperature", "a number above 0", _is_number(self.temperature) and self.temperature > 0)
        self._require("confidence_threshold", "a number 0-1", _is_number(self.confidence_threshold, 0, 1))
        for name in ("accuracy", "confidence_precision", "confidence_kept"):
            value = getattr(self, name)
            self._require(name, "a number 0-1 or None", value is None or _is_number(value, 0, 1))
        for name in ("accuracy_images", "confidence_images"):
            self._require(name, "a whole number of 0 or more", _is_whole(getattr(self, name), 0, 10**12))
        known = self.known_threshold
        self._require("known_threshold", "a finite number or None", known is None or _is_number(known))
        named = isinstance(provenance, dict) and all(_is_name(text) for pair in provenance.items() for text in pair)
        self._require("provenance", "texts by name", named)
        expected = f"None, or {len(names)} numbers 0-1 beside the output sigmoid"
        self._require("thresholds", expected, self.thresholds is None or self._has_thresholds())
        pictured = self.validation is None or _is_picture(self.validation)
        self._require("validation", "quantiles of statistics by name, and shares", pictured)

    def _require(self, name: str, expected: str, good: bool) -> None:  # noqa: FBT001 - the verdict itself
        if not good:
            raise ModelSpecError(f"{name} must be {expected}, got {getattr(self, name)!r:.200}")

    def _has_thresholds(self) -> bool:
        values = self.thresholds
        of_each_class = isinstance(values, tuple) and len(values) == len(self.class_names)
        return self.output == "sigmoid" and of_each_class and all(_is_number(value, 0, 1) for value in values or ())

    @property
    def label_thresholds(self) -> tuple[float, ...] | None:
        """One threshold a class (0-1) where the output is ``sigmoid``, else ``None``."""
        if self.output != "sigmoid":
            return None
        return self.thresholds or (0.5,) * len(self.class_names)

    @property
    def accuracy_on(self) -> str:
        """On which images ``accuracy`` rests."""
        return f"photos, {OUT_OF_FOLD}" if self.provenance.get("accuracy") == OUT_OF_FOLD else "validation images"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image's pixels: height, width, 3."""
        return self.side, self.width or self.side, 3

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        entries = asdict(self)
        if not self.ignore_orientation:
            del entries["ignore_orientation"]
        if self.confidence_precision is None:
            for name in ("confidence_precision", "confidence_kept", "confidence_images"):
                del entries[name]
        if self.known_threshold is None:  # nor do the runtimes know it that were there before
            del entries["known_threshold"]
        for name in ("width", "thresholds", "validation"):
            if getattr(self, name) is None:
                del entries[name]
        return json.dumps(entries, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ModelSpec":
        """Read ``to_json``'s output.

        Raises:
            ModelSpecError: not JSON, unknown or missing entries, or values out of range.
        """
        try:
            entries: Any = parse_json(text)
            if not isinstance(entries, dict):
                raise ModelSpecError(f"model spec must be a JSON object, got {text[:40]!r}: export the model again")
            for name, value in entries.items():
                entries[name] = tuple(value) if isinstance(value, list) else value
            if "abstain" in entries:  # its name in the files of version 0.1
                entries["confidence_threshold"] = entries.pop("abstain")
            unknown = set(entries) - {entry.name for entry in fields(cls)}
            if unknown:
                raise ModelSpecError(f"model spec has unknown entries {sorted(unknown)}: update the runtime")
            return cls(**entries)
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, ModelSpecError):
                raise
            raise ModelSpecError(f"model spec is not readable ({error}): export the model again") from error


def _is_picture(value: object) -> bool:
    """Whether it has ascending numbers by name in ``quantiles``; the rest is for people to read."""
    quantiles = value.get("quantiles") if isinstance(value, dict) else None
    return isinstance(quantiles, dict) and all(
        _is_name(name)
        and isinstance(numbers, list)
        and 2 <= len(numbers) <= 100
        and all(_is_number(number) for number in numbers)
        and numbers == sorted(numbers)
        for name, numbers in quantiles.items()
    )


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: object, low: float = -1e9, high: float = 1e9) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_name(value: object) -> bool:
    """Non-empty, and nothing in it that would move a terminal's cursor or cannot be encoded."""
    return isinstance(value, str) and value != "" and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value)
