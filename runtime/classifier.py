"""``Classifier``: what a person imports."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.backends import Pixels, Probabilities, load_backend
from runtime.errors import ModelSpecError, PixelsError
from runtime.image import ImageSource, load_square
from runtime.spec import ModelSpec


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Attributes:
        label: name of the most probable class.
        probability: its probability, 0-1.
        top: the most probable classes as (label, probability), best first.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


class Classifier:
    """A model file, loaded and ready.

    Args:
        model_path: an ``.onnx`` or ``.tflite`` file that ``python -m pipeline export`` wrote.
        threads: processor threads of the engine, 1 or more.

    Raises:
        ModelError: the file is missing, damaged, or contradicts its spec.
        BackendUnavailableError: its engine is not installed.
    """

    def __init__(self, model_path: str | os.PathLike[str], threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}")
        path = Path(model_path)
        self._backend = load_backend(path, threads)
        self.spec = ModelSpec.from_json(self._backend.spec_json)
        for what, says, has in (
            ("side", self.spec.side, self._backend.side),
            ("number of classes", len(self.spec.class_names), self._backend.class_count),
        ):
            if says != has:
                raise ModelSpecError(f"{path.name}: the spec gives {what} {says}, the graph has {has}: export it again")

    def classify(self, image: ImageSource, top: int = 5) -> Prediction:
        """Name what one image shows.

        Args:
            image: path, encoded bytes, binary file, PIL image, or uint8 array (H, W, 3) in RGB.
            top: how many classes to list, 1 or more; at most all are.

        Raises:
            ImageError: the image cannot be read; its subclasses say why.
        """
        if top < 1:
            raise ValueError(f"top must be 1 or more, got {top}")
        probabilities = self._backend(load_square(image, self.spec)[np.newaxis])[0]
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranking = tuple((self.spec.class_names[index], float(probabilities[index])) for index in best)
        return Prediction(*ranking[0], ranking)

    def predict(self, pixels: Pixels) -> Probabilities:
        """Probabilities of ready pixels.

        Args:
            pixels: uint8 (N, S, S, 3), RGB, 0-255.

        Returns:
            float32 (N, C); rows sum to 1 up to the model's precision.

        Raises:
            PixelsError: another shape or dtype.
        """
        expected = (self.spec.side, self.spec.side, 3)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise PixelsError(f"pixels must be uint8 (N, {', '.join(map(str, expected))}), got {got}")
        return self._backend(pixels)
