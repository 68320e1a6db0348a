"""Benchmark the graph rewrites: our files against those of the stock converters, interleaved on one thread.

Only the engines' calls are timed: the stock files' float inputs are scaled outside the timed call. Besides the exported
network, five networks with random weights are measured: the image classifier of MLPerf Tiny and a small MobileNetV2
against stock files, MobileNetV2 and EfficientNet-Lite0 at 224 pixels, to compare the two engines, and a small
MobileNetV3 for the effect of the rewrites.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from docs.figures.bars import Bar, format_bars
from docs.figures.files import BENCHMARK_GRAPH
from docs.figures.graph.bare_engines import Run, onnx_run, onnx_run_bound, tflite_run
from docs.figures.graph.dense_operators import time_dense_operators
from docs.figures.graph.profile_onnx import format_profile, profile_onnx
from docs.figures.graph.profile_tflite import profile_tflite
from docs.figures.graph.rewrite_ablation import ablate_rewrites, format_ablation
from docs.figures.graph.stock import stock_onnx, stock_tflite
from pipeline import artifacts
from pipeline.data import samples
from pipeline.export import onnx
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import load_exported
from pipeline.export.load.scaling import AS_THEY_ARE, PixelScaling
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.formats import MODEL_FILES
from pipeline.models import build, efficientnet_lite
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure, single_images

STOCK_ONNX, STOCK_TFLITE = "stock int8 ONNX", "stock int8 TFLite"
BATCH = 64
BATCHED = f"{artifacts.INT8_ONNX}, batch of {BATCH}"
CALIBRATION_IMAGES = 100


NOTES, RESNET, MOBILENET, MOBILENET_V3 = "notes", "resnet8", "MobileNetV2", "MobileNetV3Small"
LARGE_MOBILENET, LARGE_EFFICIENTNET, LARGE_SIDE = "MobileNetV2 at 224", "EfficientNet-Lite0 at 224", 224
LARGE_IMAGES = 4
"""Number of images that calibrate the large networks: the values hardly influence speed."""
LARGE_RUNS = 10
"""Timed calls per turn; each takes milliseconds."""
PLAIN = "session.run"
OURS_ONNX, OURS_TFLITE = "int8 ONNX", "int8 TFLite"

LIMITS = (
    (artifacts.INT8_ONNX, STOCK_ONNX, 0.70),
    (artifacts.INT8_ONNX, artifacts.FP32_ONNX, 0.65),
    (artifacts.INT8_ONNX, artifacts.INT8_TFLITE, 1.50),
    (artifacts.INT8_TFLITE, STOCK_TFLITE, 1.00),
    (BATCHED, artifacts.INT8_ONNX, 0.60),
    *(
        (f"{network} {ours}", f"{network} {stock}", 1.00)
        for network in (RESNET, MOBILENET)
        for ours, stock in ((OURS_ONNX, STOCK_ONNX), (OURS_TFLITE, STOCK_TFLITE))
    ),
    *(
        (f"{network} {OURS_ONNX}", f"{network} {OURS_TFLITE}", 1.15)
        for network in (LARGE_MOBILENET, LARGE_EFFICIENTNET)
    ),
)
"""Our file, the file that it is compared with, and the upper limit of the ratio of their medians."""


def benchmark_graph(folder: Path, rounds: int) -> dict[str, Any]:
    """Time our files and the stock files, and write ``benchmark_graph.json``.

    Returns:
        The content of the file: the median latency of each contender in microseconds per image, each claim with its
        ratio, the profiles of the int8 files by node, the effect of each rewrite, and other experiments.
    """
    reference = load_exported(folder)
    calibration = samples.calibration_images().pixels[:CALIBRATION_IMAGES]
    pixels = samples.read_test(artifacts.REFERENCE_DIR).pixels
    image, batch = pixels[:1], pixels[:BATCH]
    contenders: dict[str, Run] = {}
    for name in MODEL_FILES:
        content = (folder / name).read_bytes()
        contenders[name] = onnx_run(content, image) if name.endswith(".onnx") else tflite_run(content, image)
    int8_onnx = (folder / artifacts.INT8_ONNX).read_bytes()
    contenders[BATCHED] = onnx_run(int8_onnx, batch)
    contenders |= _stock_contenders("", reference, calibration)
    for name, deployable in other_networks(reference.class_names):
        images = _enlarged(calibration, deployable.side)
        contenders |= _our_contenders(f"{name} ", deployable, images)
        contenders |= _stock_contenders(f"{name} ", deployable, images)
    timed = measure(contenders, single_images(pixels), rounds)
    large = {f"{name} {ours}": run for name, contenders in large_contenders() for ours, run in contenders.items()}
    timed |= measure(large, [image], rounds, LARGE_RUNS)
    per_image = {name: median_us(values) / (BATCH if name == BATCHED else 1) for name, values in timed.items()}
    bars = [
        Bar(ours, per_image[ours] / per_image[theirs], limit, against=theirs, ours=per_image[ours],
            theirs=per_image[theirs], unit="us")
        for ours, theirs, limit in LIMITS
    ]  # fmt: skip
    report = {
        "rounds": rounds,
        "median_us_per_image": per_image,
        "bars": [bar.to_json() for bar in bars],
        "profile": profile_onnx(int8_onnx, image, rounds),
        "profile_tflite": profile_tflite((folder / artifacts.INT8_TFLITE).read_bytes(), image, rounds),
        "worth": {
            name: ablate_rewrites(network, _enlarged(calibration, network.side), rounds)
            for name, network in rewritten_networks(reference)
        },
        "calls": _calls(int8_onnx, image, rounds),
        "dense_us": time_dense_operators(rounds),
    }
    artifacts.write_json(folder / BENCHMARK_GRAPH, report)
    return report


def other_networks(class_names: tuple[str, ...]) -> Iterator[tuple[str, Deployable]]:
    """Yield networks of known shapes with random weights, and their names."""
    yield RESNET, Deployable(build(RESNET, len(class_names)), class_names)
    mobilenet = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=len(class_names))
    yield MOBILENET, Deployable(mobilenet, class_names, PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)))


def rewritten_networks(reference: Deployable) -> Iterator[tuple[str, Deployable]]:
    """Yield the networks whose rewrites are measured one by one, and their names; one has hard sigmoids and swishes."""
    yield NOTES, reference
    yield from other_networks(reference.class_names)
    classes = len(reference.class_names)
    mobilenet = keras.applications.MobileNetV3Small((96, 96, 3), alpha=0.75, weights=None, classes=classes)
    yield MOBILENET_V3, Deployable(mobilenet, reference.class_names, AS_THEY_ARE)


def large_networks() -> Iterator[tuple[str, Deployable]]:
    """Yield networks of a thousand classes with random weights, and their names."""
    names = tuple(map(str, range(1000)))
    mobilenet = keras.applications.MobileNetV2((LARGE_SIDE, LARGE_SIDE, 3), weights=None)
    yield LARGE_MOBILENET, Deployable(mobilenet, names, PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)))
    yield LARGE_EFFICIENTNET, Deployable(efficientnet_lite.build(LARGE_SIDE), names, AS_THEY_ARE)


def large_contenders() -> Iterator[tuple[str, dict[str, Run]]]:
    """Yield our int8 files of the large networks, by network and engine."""
    images = _enlarged(samples.calibration_images().pixels[:LARGE_IMAGES], LARGE_SIDE)
    for name, deployable in large_networks():
        yield name, _our_contenders("", deployable, images)


def _our_contenders(prefix: str, deployable: Deployable, calibration: NDArray[np.uint8]) -> dict[str, Run]:
    config, counts = QuantConfig(images=len(calibration)), (len(calibration),)
    network, scaling = onnx.convert(deployable.for_int8), deployable.for_int8.network_scaling
    graph = OnnxQuantizer(network, scaling, calibration, counts).build(config)
    flatbuffer = TfliteQuantizer(deployable, calibration, counts).build(config)
    image = calibration[:1]
    return {
        prefix + OURS_ONNX: onnx_run(graph.SerializeToString(), image),
        prefix + OURS_TFLITE: tflite_run(flatbuffer, image),
    }


def _stock_contenders(prefix: str, deployable: Deployable, calibration: NDArray[np.uint8]) -> dict[str, Run]:
    image = deployable.scaling(calibration[:1])
    return {
        prefix + STOCK_ONNX: onnx_run(stock_onnx(deployable, calibration), image),
        prefix + STOCK_TFLITE: tflite_run(stock_tflite(deployable, calibration), image),
    }


def _enlarged(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Enlarge images to a multiple of their side by repeating pixels."""
    factor = side // pixels.shape[1]
    return pixels.repeat(factor, axis=1).repeat(factor, axis=2)


def _calls(content: bytes, image: NDArray[np.uint8], rounds: int) -> dict[str, float]:
    """Time other ways to call ONNX Runtime, as ratios to ``session.run``."""
    ways = {
        PLAIN: onnx_run(content, image),
        "input and output bound once (IoBinding)": onnx_run_bound(content, image),
        "without the engine's memory arena": onnx_run(content, image, arena=False),
    }
    medians = {name: median_us(values) for name, values in measure(ways, [image], rounds).items()}
    return {name: median / medians[PLAIN] for name, median in medians.items() if name != PLAIN}


def format_graph_benchmark(report: dict[str, Any]) -> str:
    """Format the medians, ratios and further results as tables."""
    lines = [f"{'contender':<34}{'median us an image':>20}"]
    for name, median in sorted(report["median_us_per_image"].items(), key=lambda item: float(item[1])):
        lines.append(f"{name:<34}{median:>20.1f}")
    lines += ["", format_bars(report["bars"])]
    for name, profile in ((artifacts.INT8_ONNX, "profile"), (artifacts.INT8_TFLITE, "profile_tflite")):
        lines += ["", f"{name}, node by node:", format_profile(report[profile])]
    lines += ["", format_ablation(report["worth"]), "", f"{'calling ONNX Runtime':<42}{'ratio':>13}"]
    lines += [f"{name:<42}{ratio:>13.2f}" for name, ratio in report["calls"].items()]
    lines += ["", f"{'a dense layer of 1,024 to 500':<42}{'us':>13}"]
    lines += [f"{name:<42}{us:>13.1f}" for name, us in report["dense_us"].items()]
    return "\n".join(lines)
