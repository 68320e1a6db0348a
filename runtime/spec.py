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
VERSION = 1
RESIZE_POLICIES = ("stretch",)
RESIZE_FILTERS = ("box", "bilinear", "bicubic", "lanczos")
PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True)
class ModelSpec:
    """How to feed a model file and how to read its answer.

    Attributes:
        side: height and width of the input in pixels.
        class_names: one name a class, in output order.
        precision: ``fp32`` or ``int8``.
        resize: how a photo becomes a square; ``stretch`` ignores the aspect ratio.
        resize_filter: Pillow's name of the filter.
        scale: factor on each pixel value inside the graph; the caller always gives plain 0-255 pixels.
        provenance: where the file comes from, e.g. the SHA-256 of the Keras file.
        version: version of this format.
    """

    side: int
    class_names: tuple[str, ...]
    precision: str = "fp32"
    resize: str = "stretch"
    resize_filter: str = "bilinear"
    scale: float = 1 / 255
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
            entries["class_names"] = tuple(entries["class_names"])
            unknown = set(entries) - {entry.name for entry in fields(cls)}
            if unknown:
                raise ModelSpecError(f"model spec has unknown entries {sorted(unknown)}: update the runtime")
            return cls(**entries)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, ModelSpecError):
                raise
            raise ModelSpecError(f"model spec is not readable ({error}): export the model again") from error
