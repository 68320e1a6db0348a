"""The engine NCNN, on the CPU in float; made for Arm phones and boards."""

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.engines.archive import read_members
from runtime.engines.base import (
    FAMILIARITY,
    MAX_JSON_BYTES,
    MAX_MODEL_BYTES,
    FileFormat,
    Probabilities,
    Scored,
    Tensor,
    one_by_one,
)
from runtime.engines.graph import Graph
from runtime.engines.ncnn_file import read_ncnn
from runtime.errors import ModelFormatError, ModelSpecError
from runtime.spec import GOLDEN_FILE, SPEC_FILE, ModelSpec
from runtime.system.fork import ForkGuard

PARAM_FILE, WEIGHTS_FILE = "model.ncnn.param", "model.ncnn.bin"
"""Archive members: the graph as text, and its weights; the names are those of pnnx."""
LIMITS = {
    SPEC_FILE: MAX_JSON_BYTES,
    GOLDEN_FILE: MAX_JSON_BYTES,
    PARAM_FILE: MAX_JSON_BYTES,
    WEIGHTS_FILE: MAX_MODEL_BYTES,
}
_THREADS = ForkGuard("load NCNN's models with 1 thread before a fork, or start processes by multiprocessing's 'spawn'")
"""Guards OpenMP's threads: after a model has used them, a forked child process would wait for them forever."""


class NcnnBackend:
    """The engine of ``.ncnn`` files: ZIP archives of graph, weights, spec and golden set.

    The graph takes one image, so a batch is run in a loop. If the spec's precision is fp16, NCNN computes in half
    precision where the processor supports it; otherwise in float32.
    """

    engine, title, suffixes = "ncnn", "NCNN", (".ncnn",)
    file_format, color, marker = FileFormat(".ncnn", "NCNN", b"PK\x03\x04", 0, "ZIP archive"), "#b8608f", "^"
    distribution, package, install = "ncnn", "ncnn", "pip install ncnn"

    @staticmethod
    def read_graph(content: bytes) -> Graph:
        """Read the operators of a file; raise ``ValueError`` if its graph is not an NCNN graph."""
        members = read_members(content, "the file", LIMITS)
        return read_ncnn(members.get(PARAM_FILE, b""), len(members.get(WEIGHTS_FILE, b""))).graph

    @staticmethod
    def import_engine() -> ModuleType:
        """Import NCNN."""
        return import_module("ncnn")

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        self._ncnn, self._name = self.import_engine(), name
        members = read_members(content, name, LIMITS)
        self.spec_json: str | bytes | None = members.get(SPEC_FILE)
        self.golden_json: str | bytes | None = members.get(GOLDEN_FILE)
        if PARAM_FILE not in members or WEIGHTS_FILE not in members:
            raise ModelFormatError(f"{name}: no {PARAM_FILE} and {WEIGHTS_FILE} in its archive: export it again")
        text, weights = members[PARAM_FILE], members[WEIGHTS_FILE]
        try:
            graph = read_ncnn(text, len(weights))
        except ValueError as error:
            raise ModelFormatError(f"{name}: its graph cannot be run ({error}): export it again") from error
        self._shape = (graph.height, graph.width, graph.channels)
        self.inputs = (Tensor(graph.source, "uint8", (None, *self._shape)),)
        self._guard = nullcontext() if threads == 1 else _THREADS
        with self._guard:
            if threads > 1:
                _THREADS.occupy()
            self._net = self._load(text.decode("ascii"), weights, threads, in_half=_says_half(self.spec_json))
        self._output = self._net.output_names()[-1]
        tells = any(FAMILIARITY in node.outputs for node in graph.graph.nodes)
        names = [self._output, *[FAMILIARITY] * tells]
        self.outputs = tuple(Tensor(name, "float32", (None, None)) for name in names)

    def _load(self, graph: str, weights: bytes, threads: int, *, in_half: bool) -> Any:
        import tempfile

        net = self._ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = in_half
        # Loaded from memory, NCNN would keep a pointer to bytes that Python frees.
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
        """Run a batch, uint8 (N, H, W, 3); return float32 (N, C)."""
        return self._batch(self._run, values)

    def scored(self, values: NDArray[Any]) -> Scored:
        """Run a batch; return probabilities (N, C) and familiarity (N,), the largest logit of each image."""
        both = self._batch(self._run_both, values)
        return both[:, :-1], both[:, -1]

    def _batch(self, run: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[Any]:
        if values.shape[1:] != self._shape or values.dtype != np.uint8 or self._shape[2] != 3:
            # NCNN would read beyond the array's end.
            raise ModelFormatError(f"{self._name}: takes {self.inputs[0]}, got {values.dtype} {values.shape}")
        with self._guard:
            return one_by_one(run, np.ascontiguousarray(values))

    def _run(self, values: NDArray[np.uint8]) -> Probabilities:
        return self._extract(values, self._output)[0]

    def _run_both(self, values: NDArray[np.uint8]) -> Probabilities:
        logits, answers = self._extract(values, FAMILIARITY, self._output)
        return np.append(answers, logits.max(axis=1, keepdims=True), axis=1)

    def _extract(self, values: NDArray[np.uint8], *names: str) -> list[Probabilities]:
        mat, rgb = self._ncnn.Mat, self._ncnn.Mat.PixelType.PIXEL_RGB
        extractor = self._net.create_extractor()
        height, width, _ = self._shape
        extractor.input(self.inputs[0].name, mat.from_pixels(values[0], rgb, width, height))
        found: list[Probabilities] = []
        for name in names:
            status, answer = extractor.extract(name)
            if status:
                raise ModelFormatError(f"{self._name}: NCNN cannot run it (status {status}): export it again")
            found.append(np.array(answer).reshape(1, -1))  # (1, C) also for a graph of dense layers only
        if self.outputs[0].shape == (None, None):  # the number of classes is known only after a run
            classes = found[-1].shape[1:]
            self.outputs = tuple(tensor._replace(shape=(None, *classes)) for tensor in self.outputs)
        return found


def _says_half(spec_json: str | bytes | None) -> bool:
    try:
        return spec_json is not None and ModelSpec.from_json(spec_json).precision == "fp16"
    except ModelSpecError:
        return False  # load_model reads the spec again and reports the error


BACKEND = NcnnBackend
