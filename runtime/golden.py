"""The golden set: a few images and what the model answered to them where it was built, carried inside the model file.

Replayed on the device it says whether the same file computes the same there. In ONNX it is the ``metadata_props``
entry named ``GOLDEN_KEY``; in TFLite a file of the appended ZIP archive, as the spec is.
"""

import base64
import io
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ModelSpecError

GOLDEN_KEY = "edgecnn_golden"
GOLDEN_FILE = "edgecnn_golden.json"


@dataclass(frozen=True)
class GoldenSet:
    """Images with the answers to expect.

    Attributes:
        pixels: uint8 (N, S, S, 3), RGB, 0-255.
        probabilities: float32 (N, C), as the file itself gave them on the machine that built it.
        tolerance: the most that any probability may differ from that, 0-1.
    """

    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    tolerance: float

    def to_json(self) -> str:
        """One line of JSON: the images as one base64 PNG, stacked from top to bottom."""
        stream = io.BytesIO()
        count, side = self.pixels.shape[:2]
        Image.fromarray(self.pixels.reshape(count * side, side, 3)).save(stream, "PNG", optimize=True)
        return json.dumps(
            {
                "png": base64.b64encode(stream.getvalue()).decode(),
                "probabilities": self.probabilities.astype(float).tolist(),
                "tolerance": self.tolerance,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "GoldenSet":
        """Read ``to_json``'s output.

        Raises:
            ModelSpecError: not JSON, entries missing, or images and answers that do not fit each other.
        """
        try:
            entries = json.loads(text)
            probabilities = np.array(entries["probabilities"], np.float32)
            with Image.open(io.BytesIO(base64.b64decode(entries["png"]))) as sheet:
                strip = np.asarray(sheet.convert("RGB"))
            side = strip.shape[1]
            pixels = strip.reshape(-1, side, side, 3)
            if probabilities.ndim != 2 or len(probabilities) != len(pixels):
                raise ValueError(f"{len(pixels)} images, but probabilities of shape {probabilities.shape}")
            return cls(pixels, probabilities, float(entries["tolerance"]))
        except (ValueError, TypeError, KeyError, OSError, Image.DecompressionBombError) as error:
            raise ModelSpecError(f"golden set is not readable ({error}): export the model again") from error
