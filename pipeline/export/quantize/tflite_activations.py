"""Read the result of every operator of a float flatbuffer at the speed of XNNPACK, LiteRT's fast kernels."""

from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from pipeline.export.quantize.ranges import Activations, T
from pipeline.system.quiet import log_hidden
from runtime.engines.litert import LitertTensor


class FloatActivations:
    """A float flatbuffer that runs on single images and gives every operator's result by the tensor's name.

    XNNPACK does not expose intermediate tensors, and without it the built-in kernels take three times as long. It does
    return the graph's outputs, so every intermediate tensor is made an output here.

    Args:
        content: the flatbuffer.
        threads: number of threads of the interpreter.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        with log_hidden():
            self._interpreter = Interpreter(model_content=with_all_results(content), num_threads=threads)
            self._interpreter.allocate_tensors()
        self._source = LitertTensor.of(self._interpreter.get_input_details()[0]).index
        results = map(LitertTensor.of, self._interpreter.get_output_details())
        self._results = {
            result.name: self._interpreter.tensor(result.index) for result in results if result.index != self._source
        }

    def __call__(self, image: NDArray[np.float32], reduce: Callable[[Activations], T]) -> T:
        """Return ``reduce`` of the activations of an image, float32 (1, H, W, 3), scaled for the flatbuffer.

        The activations are views of the interpreter's memory, which the next image overwrites. The converter squeezes
        sums and products of single pixels, (1, 1, 1, C), to (C,); they get a first axis of 1 again.
        """
        self._interpreter.set_tensor(self._source, image)
        self._interpreter.invoke()
        results = {name: result() for name, result in self._results.items()}
        return reduce({name: one if one.shape[:1] == (1,) else one[np.newaxis] for name, one in results.items()})


def with_all_results(content: bytes) -> bytes:
    """Make the float32 results of all operators outputs of the flatbuffer, in their order."""
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = flatbuffer.subgraphs[0]
    results = (int(index) for operator in graph.operators for index in operator.outputs)
    graph.outputs = [index for index in results if graph.tensors[index].type == schema.TensorType.FLOAT32]
    flatbuffer.signatureDefs = []  # they list the old outputs
    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))
