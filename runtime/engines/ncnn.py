"""NCNN on the CPU: written for Arm phones and boards, in float."""

import re
import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.engines.archive import read_members
from runtime.engines.base import MAX_JSON_BYTES, MAX_MODEL_BYTES, Probabilities, Tensor, one_by_one
from runtime.errors import ModelFormatError
from runtime.spec import GOLDEN_FILE, SPEC_FILE

PARAM_FILE, WEIGHTS_FILE = "model.ncnn.param", "model.ncnn.bin"
"""The graph as text and its weights, as pnnx names them."""
LIMITS = {
    SPEC_FILE: MAX_JSON_BYTES,
    GOLDEN_FILE: MAX_JSON_BYTES,
    PARAM_FILE: MAX_JSON_BYTES,
    WEIGHTS_FILE: MAX_MODEL_BYTES,
}
_INPUT = re.compile(r"^Input +\S+ +0 1 (\S+) 0=(\d+) 1=(\d+) 2=(\d+)$", re.MULTILINE | re.ASCII)
"""A layer without inputs and with one output, and that one's width (0), height (1) and channels (2)."""


class NcnnBackend:
    """Runs the bytes of an ``.ncnn`` file: graph, weights, spec and golden set in one ZIP archive.

    The graph takes one image, so a batch is a loop.
    """

    engine, title, suffixes = "ncnn", "NCNN", (".ncnn",)
    package, install = "ncnn", "pip install ncnn"

    @staticmethod
    def import_engine() -> ModuleType:
        """NCNN."""
        return import_module("ncnn")

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        self._ncnn, self._name = self.import_engine(), name
        members = read_members(content, name, LIMITS)
        self.spec_json: str | bytes | None = members.get(SPEC_FILE)
        self.golden_json: str | bytes | None = members.get(GOLDEN_FILE)
        if PARAM_FILE not in members or WEIGHTS_FILE not in members:
            raise ModelFormatError(f"{name}: no {PARAM_FILE} and {WEIGHTS_FILE} in its archive: export it again")
        graph = members[PARAM_FILE].decode("utf-8", "replace")
        source = _INPUT.search(graph)
        if source is None:
            raise ModelFormatError(f"{name}: its graph does not say which image it takes: export it again")
        self._width, self._height, channels = (int(source[place]) for place in (2, 3, 4))
        self.inputs = (Tensor(source[1], "uint8", (None, self._height, self._width, channels)),)
        self._net = self._load(graph, members[WEIGHTS_FILE], threads)
        self._output = self._net.output_names()[-1]
        answer = self._run(np.zeros((1, self._height, self._width, channels), np.uint8))
        self.outputs = (Tensor(self._output, "float32", (None, *answer.shape[1:])),)

    def _load(self, graph: str, weights: bytes, threads: int) -> Any:
        net = self._ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        # Or it computes in half precision where the processor can.
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        # From memory it would keep a pointer to bytes that Python has freed.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / WEIGHTS_FILE
            path.write_bytes(weights)
            if net.load_param_mem(graph) or net.load_model(str(path)):
                raise ModelFormatError(
                    f"{self._name}: NCNN {self._ncnn.__version__} cannot load it (an unknown layer, or weights of "
                    "another graph): export it again, or update ncnn"
                )
        return net

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """A batch as the input declares it to float32 (N, C)."""
        return one_by_one(self._run, np.ascontiguousarray(values))

    def _run(self, values: NDArray[np.uint8]) -> Probabilities:
        mat, rgb = self._ncnn.Mat, self._ncnn.Mat.PixelType.PIXEL_RGB
        extractor = self._net.create_extractor()
        extractor.input(self.inputs[0].name, mat.from_pixels(values[0], rgb, self._width, self._height))
        status, answer = extractor.extract(self._output)
        if status:
            raise ModelFormatError(f"{self._name}: NCNN cannot run it (status {status}): export it again")
        return np.array(answer)[np.newaxis]
