"""The code that the runtime is compared with: short hand-written code for the same tasks."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from runtime.engines.onnxruntime import EXACT_INT8
from runtime.spec import ModelSpec

Pixels = NDArray[np.uint8]
Classify = Callable[[Path], str]

SCRIPT = """\
import sys

import numpy as np
import onnxruntime
from PIL import Image

CLASS_NAMES = {class_names!r}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry(*{exact_int8!r})
session = onnxruntime.InferenceSession(sys.argv[1], options)
image = Image.open(sys.argv[2]).convert("RGB").resize(({side}, {side}), Image.Resampling.{filter})
(probabilities,) = session.run(None, {{session.get_inputs()[0].name: np.asarray(image)[None]}})[0]
for index in probabilities.argsort()[::-1][:5]:
    print(CLASS_NAMES[index], f"{{probabilities[index]:.1%}}")
"""
"""A minimal script that classifies a photo, run as ``python script.py MODEL IMAGE``."""


class HandWritten:
    """A classifier of photos with several decoders and one ONNX Runtime session, on one thread."""

    def __init__(self, model: Path, spec: ModelSpec) -> None:
        cv2.setNumThreads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry(*EXACT_INT8)  # the same arithmetic as ours
        self.session = onnxruntime.InferenceSession(model, options)
        self.input_name = self.session.get_inputs()[0].name
        self._names, self._side = spec.class_names, spec.side
        self._resample = Image.Resampling[spec.resize_filter.upper()]

    def run(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute probabilities, float32 (N, C), of pixels, uint8 (N, S, S, 3)."""
        probabilities: NDArray[np.float32] = self.session.run(None, {self.input_name: pixels})[0]
        return probabilities

    def label(self, pixels: Pixels) -> str:
        """Return the class of one image, uint8 (S, S, 3)."""
        return self._names[int(self.run(pixels[None])[0].argmax())]

    def naive(self, path: Path) -> str:
        """Classify with Pillow's defaults: full decode, bicubic filter."""
        return self.label(np.asarray(Image.open(path).convert("RGB").resize((self._side, self._side))))

    def full_decode(self, path: Path) -> str:
        """Classify with Pillow's full decode and the spec's filter, the reference answer for faster decoders."""
        image = Image.open(path).convert("RGB").resize((self._side, self._side), self._resample)
        return self.label(np.asarray(image))

    def opencv_pixels(self, path: Path) -> Pixels:
        """Decode with OpenCV at 1/8 and resize by area averaging: uint8 (S, S, 3)."""
        image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_8)
        small = cv2.resize(image, (self._side, self._side), interpolation=cv2.INTER_AREA)
        pixels: Pixels = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        return pixels

    def opencv(self, path: Path) -> str:
        """Classify with OpenCV's reduced decode."""
        return self.label(self.opencv_pixels(path))

    def simplejpeg(self, path: Path) -> str:
        """Classify with libjpeg-turbo's scaled decode and OpenCV's area averaging."""
        image = simplejpeg.decode_jpeg(path.read_bytes(), "RGB", min_height=self._side, min_width=self._side)
        return self.label(cv2.resize(image, (self._side, self._side), interpolation=cv2.INTER_AREA))

    def ready(self, path: Path) -> str:
        """Classify a picture that already has the model's size."""
        return self.label(np.asarray(Image.open(path).convert("RGB")))

    def folder(self, paths: Sequence[Path], workers: int) -> Iterator[str]:
        """Classify many photos: ``workers`` threads decode with OpenCV, this thread classifies."""
        with ThreadPoolExecutor(workers) as pool:
            yield from map(self.label, pool.map(self.opencv_pixels, paths))


def script(spec: ModelSpec) -> str:
    """Return ``SCRIPT`` with a model's values."""
    return SCRIPT.format(
        exact_int8=EXACT_INT8, class_names=spec.class_names, side=spec.side, filter=spec.resize_filter.upper()
    )
