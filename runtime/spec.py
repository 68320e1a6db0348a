"""What a model file says of itself: one JSON text, carried inside the file.

In ONNX it is the ``metadata_props`` entry named ``SPEC_KEY``; in TFLite a file of the ZIP archive appended to the
flatbuffer, as the TFLite metadata convention has it (https://ai.google.dev/edge/litert/models/metadata).
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from runtime.errors import ModelSpecError

SPEC_KEY = "edgecnn_spec"
SPEC_FILE = "edgecnn_spec.json"
VERSION = 2
RESIZE_POLICIES = ("stretch", "crop", "pad")
RESIZE_FILTERS = ("box", "bilinear", "bicubic", "lanczos")
PRECISIONS = ("fp32", "fp16", "int8", "dynamic")


@dataclass(frozen=True)
class ModelSpec:
    """How to feed a model file and how to read its answer.

    Attributes:
        side: height and width of the input in pixels.
        class_names: one name a class, in output order.
        precision: ``fp32``, ``fp16`` (weights), ``int8``, or ``dynamic`` (int8 weights, float activations).
        resize: how a photo becomes a square: ``stretch`` ignores the aspect ratio, ``crop`` cuts the largest centred
            square, ``pad`` letterboxes on ``fill``.
        resize_filter: Pillow's name of the filter.
        fill: RGB 0-255 of the letterbox and of what lies behind transparency.
        scale, offset: one of each a channel; the graph itself computes ``pixel * scale + offset`` before its first
            layer, the caller always gives plain 0-255 pixels.
        temperature: what the logits are divided by inside the graph; 1 leaves them as trained.
        abstain: probability (0-1) below which a prediction is not to be trusted; 0 trusts all.
        accuracy: share (0-1) of ``accuracy_images`` test images that this file classifies rightly; ``None`` if unknown.
        accuracy_images: how many that were.
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
    temperature: float = 1.0
    abstain: float = 0.0
    accuracy: float | None = None
    accuracy_images: int = 0
    provenance: dict[str, str] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ModelSpecError(
                f"model spec has version {self.version}, this runtime reads {VERSION}: update one of both"
            )
        if not isinstance(self.side, int) or self.side < 1:
            raise ModelSpecError(f"side must be a positive whole number, got {self.side!r}")
        if len(self.class_names) < 2 or not all(isinstance(name, str) and name for name in self.class_names):
            raise ModelSpecError(f"need at least two non-empty class names, got {self.class_names!r}")
        for name, allowed in (
            ("precision", PRECISIONS),
            ("resize", RESIZE_POLICIES),
            ("resize_filter", RESIZE_FILTERS),
        ):
            if getattr(self, name) not in allowed:
                raise ModelSpecError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if len(self.fill) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in self.fill):
            raise ModelSpecError(f"fill must be three whole numbers 0-255, got {self.fill!r}")
        for name in ("scale", "offset"):
            values = getattr(self, name)
            if len(values) != 3 or not all(isinstance(value, int | float) for value in values):
                raise ModelSpecError(f"{name} must be three numbers, one a channel, got {values!r}")
        if not self.temperature > 0:
            raise ModelSpecError(f"temperature must be above 0, got {self.temperature!r}")
        for name, value in (("abstain", self.abstain), ("accuracy", self.accuracy or 0.0)):
            if not 0 <= value <= 1:
                raise ModelSpecError(f"{name} must lie in 0-1, got {value!r}")

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ModelSpec":
        """Read ``to_json``'s output.

        Raises:
            ModelSpecError: not JSON, unknown or missing entries, or values out of range.
        """
        try:
            entries: Any = json.loads(text)
            if entries.get("version") == 1:  # one scale for all channels
                entries.update(version=VERSION, scale=[entries["scale"]] * 3)
            for name in ("class_names", "fill", "scale", "offset"):
                if name in entries:
                    entries[name] = tuple(entries[name])
            unknown = set(entries) - {entry.name for entry in fields(cls)}
            if unknown:
                raise ModelSpecError(f"model spec has unknown entries {sorted(unknown)}: update the runtime")
            return cls(**entries)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, ModelSpecError):
                raise
            raise ModelSpecError(f"model spec is not readable ({error}): export the model again") from error
