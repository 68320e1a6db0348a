"""Engines called as barely as they allow, one image and one thread: what graphs are held against graphs on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline.system.quiet import log_hidden
from runtime.engines.onnxruntime import EXACT_INT8

Run = Callable[[Any], Any]
"""Runs the images that it was made with; the argument is for the harness."""


def onnx_run(content: bytes, images: NDArray[Any], *, arena: bool = True) -> Run:
    """ONNX Runtime through ``session.run``; ``arena`` is its own memory pool."""
    session = _session(content, arena=arena)
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(images)}
    return lambda _: session.run(None, feed)


def onnx_run_bound(content: bytes, images: NDArray[Any]) -> Run:
    """ONNX Runtime reading and writing arrays that stay where they are; the images are copied in, the answer out."""
    session = _session(content, arena=True)
    source, result = session.get_inputs()[0].name, session.get_outputs()[0].name
    bound, answer = np.ascontiguousarray(images).copy(), session.run(None, {source: images})[0]
    binding = session.io_binding()
    binding.bind_cpu_input(source, bound)
    binding.bind_output(result, "cpu", 0, answer.dtype, answer.shape, answer.ctypes.data)

    def run(_: Any) -> Any:
        bound[...] = images
        session.run_with_iobinding(binding)
        return answer.copy()

    return run


def tflite_run(content: bytes, image: NDArray[Any]) -> Run:
    """LiteRT."""
    with log_hidden():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(_: Any) -> Any:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def _session(content: bytes, *, arena: bool) -> onnxruntime.InferenceSession:
    """A session with exact int8 arithmetic where ONNX Runtime can set it up.

    Version 1.32 fails to initialize some int8 graphs with it, such as the stock MobileNetV2, on x86-64 without VNNI.
    """
    try:
        return _new_session(content, arena=arena, exact=True)
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return _new_session(content, arena=arena, exact=False)


def _new_session(content: bytes, *, arena: bool, exact: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if exact:
        options.add_session_config_entry(*EXACT_INT8)
        options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
