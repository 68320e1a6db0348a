"""What the graph rewrites are worth: our files against the stock recipes, interleaved in one process on one thread.

The stock ONNX file is tf2onnx's conversion quantised by ``quantize_static`` (QDQ, per channel) as ONNX Runtime's
documentation shows it; the stock TFLite file is ``TFLiteConverter`` with default optimisation and a representative
data set. Files are held against files: each engine is called bare, and the stock files' float inputs are scaled
beforehand, outside the timed call.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from pipeline import artifacts
from pipeline.data import samples
from pipeline.export.deployable import Deployable
from pipeline.export.load import load_exported
from pipeline.quiet import log_hidden
from runtime.timing import measure

STOCK_ONNX, STOCK_TFLITE = "stock int8 ONNX", "stock int8 TFLite"
BATCH = 64
BATCHED = f"{artifacts.INT8_ONNX}, batch of {BATCH}"
INPUT = "image"


@dataclass(frozen=True)
class Bar:
    """The most that the ratio of two medians may be."""

    ours: str
    theirs: str
    limit: float


BARS = (
    Bar(artifacts.INT8_ONNX, STOCK_ONNX, 0.70),
    Bar(artifacts.INT8_ONNX, artifacts.FP32_ONNX, 0.65),
    Bar(artifacts.INT8_ONNX, artifacts.INT8_TFLITE, 1.50),
    Bar(artifacts.INT8_TFLITE, STOCK_TFLITE, 1.00),
    Bar(BATCHED, artifacts.INT8_ONNX, 0.60),
)


def benchmark_graph(folder: Path, rounds: int) -> dict[str, Any]:
    """Time ours and the stock files and write ``benchmark_graph.json``.

    Returns:
        What the file holds: the median latency of each contender in microseconds an image, and each bar with its ratio.
    """
    reference = load_exported(folder)
    calibration = samples.read_calibration(artifacts.REFERENCE_DIR).pixels
    pixels = samples.read_test(artifacts.REFERENCE_DIR).pixels
    image, batch = pixels[:1], pixels[:BATCH]
    contenders: dict[str, Callable[[Any], Any]] = {}
    for name in artifacts.MODEL_FILES:
        content = (folder / name).read_bytes()
        contenders[name] = _onnx_run(content, image) if name.endswith(".onnx") else _tflite_run(content, image)
    contenders[BATCHED] = _onnx_run((folder / artifacts.INT8_ONNX).read_bytes(), batch)
    contenders[STOCK_ONNX] = _onnx_run(_stock_onnx(reference, calibration), reference.scaling(image))
    contenders[STOCK_TFLITE] = _tflite_run(_stock_tflite(reference, calibration), reference.scaling(image))
    latencies = measure(contenders, pixels, rounds)
    per_image = {name: latency.p50_us / (BATCH if name == BATCHED else 1) for name, latency in latencies.items()}
    ratios = [{**asdict(bar), "ratio": per_image[bar.ours] / per_image[bar.theirs]} for bar in BARS]
    report = {
        "rounds": rounds,
        "median_us_per_image": per_image,
        "bars": [{**row, "met": row["ratio"] <= row["limit"]} for row in ratios],
    }
    artifacts.write_json(folder / artifacts.BENCHMARK_GRAPH, report)
    return report


class _ImageReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image[np.newaxis]}


def _onnx_run(content: bytes, images: NDArray[Any]) -> Callable[[Any], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(images)}
    return lambda _: session.run(None, feed)


def _tflite_run(content: bytes, image: NDArray[Any]) -> Callable[[Any], Any]:
    with log_hidden():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(_: Any) -> Any:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def _stock_onnx(reference: Deployable, calibration: NDArray[np.uint8]) -> bytes:
    signature = [tf.TensorSpec((None, *reference.model.input_shape[1:]), tf.float32, name=INPUT)]
    network = tf.function(lambda image: reference.model(image, training=False), input_signature=signature)
    with tempfile.TemporaryDirectory() as scratch, log_hidden():
        float_path, path = Path(scratch) / "float.onnx", Path(scratch) / "int8.onnx"
        tf2onnx.convert.from_function(network, input_signature=signature, opset=17, output_path=str(float_path))
        reader = _ImageReader(reference.scaling(calibration))
        quantize_static(float_path, path, reader, quant_format=QuantFormat.QDQ, per_channel=True)
        return path.read_bytes()


def _stock_tflite(reference: Deployable, calibration: NDArray[np.uint8]) -> bytes:
    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in reference.scaling(calibration):
            yield [image[np.newaxis]]

    with log_hidden(), contextlib.redirect_stdout(io.StringIO()):
        converter = tf.lite.TFLiteConverter.from_keras_model(reference.model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        content: bytes = converter.convert()
    return content


def format_graph_benchmark(report: dict[str, Any]) -> str:
    """Medians and ratios as two tables."""
    lines = [f"{'contender':<30}{'median us an image':>20}"]
    for name, median in sorted(report["median_us_per_image"].items(), key=lambda item: float(item[1])):
        lines.append(f"{name:<30}{median:>20.1f}")
    lines += ["", f"{'ours':<30}{'against':<22}{'ratio':>7}{'bar':>7}"]
    for row in report["bars"]:
        verdict = "met" if row["met"] else "MISSED"
        lines.append(f"{row['ours']:<30}{row['theirs']:<22}{row['ratio']:>7.2f}{row['limit']:>7.2f}  {verdict}")
    return "\n".join(lines)
