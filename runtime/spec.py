"""The model spec: JSON inside the model file that says how to feed the model and how to read its output.

ONNX files store it in the ``metadata_props`` entry ``SPEC_KEY``; TFLite files store it in a ZIP archive appended to
the flatbuffer, the TFLite metadata convention (https://ai.google.dev/edge/litert/models/metadata).
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from runtime.errors import ModelSpecError
from runtime.system.files import parse_json
from runtime.text import first_of

SPEC_KEY = "edgecnn_spec"
SPEC_FILE = "edgecnn_spec.json"
GOLDEN_KEY = "edgecnn_golden"
GOLDEN_FILE = "edgecnn_golden.json"
OUT_OF_FOLD = "out of fold"
"""Value of ``provenance["accuracy"]`` if ``accuracy`` was measured by cross-validation."""
VERSION = 2
RESIZE_POLICIES = ("stretch", "crop", "pad")
NO_ANTIALIAS = "bilinear-no-antialias"
RESIZE_FILTERS = ("box", "bilinear", "bicubic", "lanczos", NO_ANTIALIAS)
MAX_SIDE = 4096
OUTPUTS = ("softmax", "logits", "sigmoid")
NONE_CLASS = "none"
"""Name of the class for images that show none of the other classes."""
PRECISIONS = ("fp32", "fp16", "int8", "dynamic")


@dataclass(frozen=True)
class ModelSpec:
    """The input that a model file takes, and the meaning of its output.

    Entries that are marked "optional in JSON" are written only if they are set, so that older runtimes can read the
    files that do not need them.

    Attributes:
        side: height of the input in pixels; also its width if ``width`` is ``None``.
        width: width of the input in pixels if it differs from ``side``. Optional in JSON.
        class_names: one name per class, in output order.
        precision: ``fp32``, ``fp16`` (weights), ``int8``, or ``dynamic`` (int8 weights, float activations).
        resize: how a photo is fitted to the input's aspect ratio: ``stretch`` changes the photo's aspect ratio,
            ``crop`` cuts out the largest centered part of the input's aspect ratio, ``pad`` letterboxes with ``fill``.
        resize_filter: name of a Pillow filter, which averages all source pixels; or ``bilinear-no-antialias``, which
            reads four source pixels per output pixel, the default of TensorFlow's and Keras's resizing.
        fill: RGB color, 0-255, of the letterbox and behind transparent pixels.
        ignore_orientation: do not apply the orientation in the photo's EXIF data. Optional in JSON.
        scale, offset: one number per channel; the graph computes ``pixel * scale + offset`` before its first layer.
            The caller always gives pixels of 0-255.
        output: what the graph's output holds: ``softmax`` (probabilities), ``logits`` (the runtime applies softmax) or
            ``sigmoid`` (an independent probability per label). A graph of two classes with a single output number
            gives the probability (or logit) of the second class. ``None``: in a file that carries its spec the output
            holds probabilities; for other files the graph's last operator decides.
        thresholds: multi-label models only: for each class the lowest probability (0-1) at which an image has that
            label; ``None``: 0.5 for all. Optional in JSON.
        temperature: divisor of the logits, applied inside the graph; 1 leaves them as trained.
        confidence_threshold: predictions of a lower probability (0-1) are not confident; 0: all are confident.
        confidence_precision: lower bound (0-1, at 95 % confidence) of the share of correct predictions among the
            confident ones; ``None`` if the threshold was not chosen for a precision. Optional in JSON, with the next
            two.
        confidence_kept: share (0-1) of the validation images whose predictions are confident.
        confidence_images: number of validation images that the threshold was chosen on.
        known_threshold: for the graph's second output, ``familiarity``: an image with a lower score shows none of the
            classes. ``None`` if the graph has no such output. Optional in JSON.
        accuracy: share (0-1) of correct predictions of this file on ``accuracy_images`` validation images, which were
            used neither for training nor for calibration; ``None`` if unknown. If ``provenance["accuracy"]`` is
            ``OUT_OF_FOLD``, it was measured by cross-validation: a network that was not trained on the photo
            classified it.
        accuracy_images: number of those images.
        validation: statistics of the validation images and of the predictions for them, made by
            ``runtime.drift.statistics.summary``; drift monitoring compares with it. Optional in JSON.
        provenance: origin of the file, e.g. the SHA-256 of the Keras file.
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
                f"model spec has version {self.version!r}, this runtime reads {VERSION}: export the model again, "
                "or update the runtime"
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
            self._require(name, "three finite numbers, one per channel", good)
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
        self._require("provenance", "a dictionary of texts", named)
        expected = f"None, or {len(names)} numbers 0-1 beside the output sigmoid"
        self._require("thresholds", expected, self.thresholds is None or self._has_thresholds())
        summarized = self.validation is None or _is_drift_summary(self.validation)
        self._require("validation", "a dictionary with the quantiles of statistics", summarized)

    def _require(self, name: str, expected: str, good: bool) -> None:  # noqa: FBT001 - the verdict itself
        if not good:
            raise ModelSpecError(f"{name} must be {expected}, got {getattr(self, name)!r:.200}")

    def _has_thresholds(self) -> bool:
        values = self.thresholds
        of_each_class = isinstance(values, tuple) and len(values) == len(self.class_names)
        return self.output == "sigmoid" and of_each_class and all(_is_number(value, 0, 1) for value in values or ())

    @property
    def label_thresholds(self) -> tuple[float, ...] | None:
        """One threshold (0-1) per class if the output is ``sigmoid``, else ``None``."""
        if self.output != "sigmoid":
            return None
        return self.thresholds or (0.5,) * len(self.class_names)

    @property
    def accuracy_on(self) -> str:
        """The images that ``accuracy`` was measured on, in words."""
        return f"photos, {OUT_OF_FOLD}" if self.provenance.get("accuracy") == OUT_OF_FOLD else "validation images"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image's pixels: (height, width, 3)."""
        return self.side, self.width or self.side, 3

    def to_json(self) -> str:
        """Return the spec as one line of JSON."""
        entries = asdict(self)
        if not self.ignore_orientation:
            del entries["ignore_orientation"]
        if self.confidence_precision is None:
            for name in ("confidence_precision", "confidence_kept", "confidence_images"):
                del entries[name]
        if self.known_threshold is None:
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
                raise ModelSpecError(f"model spec has unknown entries {first_of(sorted(unknown))}: update the runtime")
            return cls(**entries)
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, ModelSpecError):
                raise
            raise ModelSpecError(f"model spec is not readable ({error}): export the model again") from error


def _is_drift_summary(value: object) -> bool:
    """Return whether ``quantiles`` maps names to ascending numbers; other entries are only displayed."""
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
    """Return whether it is a non-empty text without control characters and lone surrogates."""
    return isinstance(value, str) and value != "" and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value)
