"""Call engines with as little overhead as possible, on one thread, to compare graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline.system.quiet import log_hidden
from runtime.engines.onnxruntime import EXACT_INT8

Run = Callable[[Any], Any]
"""Runs the images that it was made with; its argument, which the timing harness passes, is ignored."""


def onnx_run(content: bytes, images: NDArray[Any], *, arena: bool = True) -> Run:
    """Run ONNX Runtime with ``session.run``; ``arena`` enables its memory pool."""
    session = _session(content, arena=arena)
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(images)}
    return lambda _: session.run(None, feed)


def onnx_run_bound(content: bytes, images: NDArray[Any]) -> Run:
    """Run ONNX Runtime with IoBinding: input and output arrays are bound once, and copied in and out in each call."""
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
    """Run LiteRT."""
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
    """Create a session, with exact int8 arithmetic if ONNX Runtime can initialize it.

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
