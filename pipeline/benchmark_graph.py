"""What the graph rewrites are worth: our files against the stock recipes, interleaved in one process on one thread.

Files are held against files: each engine is called bare, and the stock files' float inputs are scaled beforehand,
outside the timed call. Beside the exported network stand two whose weights are random, for their shapes alone: an
image classifier of MLPerf Tiny and MobileNetV2.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data import samples
from pipeline.export import onnx
from pipeline.export.deployable import Deployable
from pipeline.export.load import load_exported
from pipeline.export.onnx_int8 import OnnxQuantizer
from pipeline.export.recipe import Recipe
from pipeline.export.scaling import PixelScaling
from pipeline.export.tflite_int8 import TfliteQuantizer
from pipeline.models import build
from pipeline.profile_graph import format_profile, profile_graph
from pipeline.quiet import log_hidden
from pipeline.stock import stock_onnx, stock_tflite
from runtime.timing import measure

STOCK_ONNX, STOCK_TFLITE = "stock int8 ONNX", "stock int8 TFLite"
BATCH = 64
BATCHED = f"{artifacts.INT8_ONNX}, batch of {BATCH}"
CALIBRATION_IMAGES = 100
Run = Callable[[Any], Any]


@dataclass(frozen=True)
class Bar:
    """The most that the ratio of two medians may be."""

    ours: str
    theirs: str
    limit: float


RESNET, MOBILENET = "resnet8", "MobileNetV2"
OURS_ONNX, OURS_TFLITE = "int8 ONNX", "int8 TFLite"

BARS = (
    Bar(artifacts.INT8_ONNX, STOCK_ONNX, 0.70),
    Bar(artifacts.INT8_ONNX, artifacts.FP32_ONNX, 0.65),
    Bar(artifacts.INT8_ONNX, artifacts.INT8_TFLITE, 1.50),
    Bar(artifacts.INT8_TFLITE, STOCK_TFLITE, 1.00),
    Bar(BATCHED, artifacts.INT8_ONNX, 0.60),
    *(
        Bar(f"{network} {ours}", f"{network} {stock}", 1.00)
        for network in (RESNET, MOBILENET)
        for ours, stock in ((OURS_ONNX, STOCK_ONNX), (OURS_TFLITE, STOCK_TFLITE))
    ),
)


def benchmark_graph(folder: Path, rounds: int) -> dict[str, Any]:
    """Time ours and the stock files and write ``benchmark_graph.json``.

    Returns:
        What the file holds: the median latency of each contender in microseconds an image, each bar with its ratio,
        and the profile of the int8 ONNX file by node.
    """
    reference = load_exported(folder)
    calibration = samples.calibration_images().pixels[:CALIBRATION_IMAGES]
    pixels = samples.read_test(artifacts.REFERENCE_DIR).pixels
    image, batch = pixels[:1], pixels[:BATCH]
    contenders: dict[str, Run] = {}
    for name in artifacts.MODEL_FILES:
        content = (folder / name).read_bytes()
        contenders[name] = _onnx_run(content, image) if name.endswith(".onnx") else _tflite_run(content, image)
    int8_onnx = (folder / artifacts.INT8_ONNX).read_bytes()
    contenders[BATCHED] = _onnx_run(int8_onnx, batch)
    contenders |= _stock_contenders("", reference, calibration)
    for name, deployable in _other_networks(reference.class_names):
        larger = calibration.repeat(deployable.side // reference.side, axis=1)
        larger = larger.repeat(deployable.side // reference.side, axis=2)
        contenders |= _our_contenders(f"{name} ", deployable, larger)
        contenders |= _stock_contenders(f"{name} ", deployable, larger)
    latencies = measure(contenders, pixels, rounds)
    per_image = {name: latency.p50_us / (BATCH if name == BATCHED else 1) for name, latency in latencies.items()}
    ratios = [{**asdict(bar), "ratio": per_image[bar.ours] / per_image[bar.theirs]} for bar in BARS]
    report = {
        "rounds": rounds,
        "median_us_per_image": per_image,
        "bars": [{**row, "met": row["ratio"] <= row["limit"]} for row in ratios],
        "profile": profile_graph(int8_onnx, image, rounds),
    }
    artifacts.write_json(folder / artifacts.BENCHMARK_GRAPH, report)
    return report


def _other_networks(class_names: tuple[str, ...]) -> Iterator[tuple[str, Deployable]]:
    yield RESNET, Deployable(build(RESNET, len(class_names)), class_names)
    mobilenet = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=len(class_names))
    yield MOBILENET, Deployable(mobilenet, class_names, PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)))


def _our_contenders(prefix: str, deployable: Deployable, calibration: NDArray[np.uint8]) -> dict[str, Run]:
    recipe, counts = Recipe(images=len(calibration)), (len(calibration),)
    network, scaling = onnx.convert(deployable.for_int8), deployable.for_int8.network_scaling
    graph = OnnxQuantizer(network, scaling, calibration, counts).build(recipe)
    flatbuffer = TfliteQuantizer(deployable, calibration, counts).build(recipe)
    image = calibration[:1]
    return {
        prefix + OURS_ONNX: _onnx_run(graph.SerializeToString(), image),
        prefix + OURS_TFLITE: _tflite_run(flatbuffer, image),
    }


def _stock_contenders(prefix: str, deployable: Deployable, calibration: NDArray[np.uint8]) -> dict[str, Run]:
    image = deployable.scaling(calibration[:1])
    return {
        prefix + STOCK_ONNX: _onnx_run(stock_onnx(deployable, calibration), image),
        prefix + STOCK_TFLITE: _tflite_run(stock_tflite(deployable, calibration), image),
    }


def _onnx_run(content: bytes, images: NDArray[Any]) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(images)}
    return lambda _: session.run(None, feed)


def _tflite_run(content: bytes, image: NDArray[Any]) -> Run:
    with log_hidden():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(_: Any) -> Any:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def format_graph_benchmark(report: dict[str, Any]) -> str:
    """Medians and ratios as two tables."""
    lines = [f"{'contender':<34}{'median us an image':>20}"]
    for name, median in sorted(report["median_us_per_image"].items(), key=lambda item: float(item[1])):
        lines.append(f"{name:<34}{median:>20.1f}")
    lines += ["", f"{'ours':<34}{'against':<32}{'ratio':>7}{'bar':>7}"]
    for row in report["bars"]:
        verdict = "met" if row["met"] else "MISSED"
        lines.append(f"{row['ours']:<34}{row['theirs']:<32}{row['ratio']:>7.2f}{row['limit']:>7.2f}  {verdict}")
    lines += ["", f"{artifacts.INT8_ONNX}, node by node:", format_profile(report["profile"])]
    return "\n".join(lines)
