"""Compare small networks for CIFAR-10 in the README: int8 accuracy, multiply-accumulates, size and latency.

Files of other projects stand beside ours, measured on the same images and by the same clock where their files are
given, and with their published figures where they are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.figures.documents import replace_marked
from docs.figures.experiments import SHIPPED
from docs.figures.graph.bare_engines import Run, onnx_run, tflite_run
from pipeline import artifacts
from pipeline.data import cifar10
from pipeline.documents.verify import VerificationSummary
from pipeline.errors import PipelineError
from pipeline.metrics.classification import accuracy
from pipeline.metrics.significance import share_interval
from pipeline.models import build, summarize
from pipeline.system.quiet import log_hidden
from pipeline.text import table
from runtime.benchmark.environment import describe_device
from runtime.benchmark.timing import measure as take_turns

FIGURES = Path("docs/networks.json")
DOCUMENT, MARKER = Path("README.md"), "networks"
ROUNDS, RUNS = 40, 25
FILES = (artifacts.INT8_ONNX, artifacts.INT8_TFLITE)


@dataclass(frozen=True)
class Other:
    """A network of another project.

    Attributes:
        title: the project and its name of the network.
        multiply_accumulates: per image.
        file: name of its int8 TFLite file, which is measured if it is given; else ``accuracy`` and ``kib`` are shown.
        accuracy: published accuracy (0-1) in int8.
        kib: published size of the file or its weights in KiB.
        source: where the file or the figures are published.
    """

    title: str
    multiply_accumulates: int
    source: str
    file: str = ""
    accuracy: float | None = None
    kib: float | None = None


OTHERS = (
    Other(
        "MLPerf Tiny, ResNet8",
        12_501_632,
        "mlcommons/tiny, benchmark/training/image_classification/trained_models",
        file="pretrainedResnet_quant.tflite",
    ),
    Other(
        "MLPerf Tiny, large ResNet (IC02)",
        76_473_920,
        "mlcommons/tiny, benchmark/training/image_classification/trained_models",
        file="pretrainedResnet_large_int8.tflite",
    ),
    Other(
        "ST model zoo, ResNet v1 8",
        12_501_632,
        "STMicroelectronics/stm32ai-modelzoo, image_classification/resnetv1/README.md",
        accuracy=0.8559,
        kib=76.9,
    ),
)


def measure(folder: Path) -> dict[str, Any]:
    """Measure the shipped networks and the files of other projects in ``folder``: accuracy, size, latency.

    Raises:
        PipelineError: a file of another project is missing.
    """
    given = [other for other in OTHERS if other.file]
    if missing := [other.file for other in given if not (folder / other.file).is_file()]:
        raise PipelineError(f"{folder}: no {', '.join(missing)}; they are in the repository {given[0].source}")
    test = cifar10.load()[1]
    pixels, labels = np.asarray(test.pixels), np.asarray(test.labels)
    contents = {(name, file): (place / file).read_bytes() for name, place in SHIPPED.items() for file in FILES}
    theirs = {(other.title, other.file): (folder / other.file).read_bytes() for other in given}
    one = pixels[:1]
    runs: dict[tuple[str, str], Run] = {
        key: onnx_run(content, one) if key[1] == artifacts.INT8_ONNX else tflite_run(content, one)
        for key, content in contents.items()
    }
    runs |= {key: tflite_run(content, _as_int8(one)) for key, content in theirs.items()}
    spent = take_turns({" ".join(key): run for key, run in runs.items()}, [None], ROUNDS, RUNS)
    latency = {key: float(np.median(np.concatenate(spent[" ".join(key)]))) / 1e3 for key in runs}
    networks = [_ours(name, place, latency) for name, place in SHIPPED.items()]
    for other in OTHERS:
        row: dict[str, Any] = {"title": other.title, "source": other.source, "images": None}
        row |= {"multiply_accumulates": other.multiply_accumulates, "latency_us": {}}
        row |= {"accuracy": {"published": other.accuracy}, "kib": {"published": other.kib}}
        if other.file:
            content = theirs[other.title, other.file]
            row |= {"images": len(labels), "latency_us": {other.file: latency[other.title, other.file]}}
            row |= {"accuracy": {other.file: accuracy(_answers(content, pixels).astype(np.float32), labels)}}
            row |= {"kib": {other.file: len(content) / 1024}}
        networks.append(row)
    return {"device": describe_device().cpu, "rounds": ROUNDS, "runs": RUNS, "networks": networks}


def _ours(name: str, place: Path, latency: dict[tuple[str, str], float]) -> dict[str, Any]:
    verified = VerificationSummary.read(place)
    return {
        "title": name,
        "source": place.relative_to(artifacts.REFERENCE_DIR.parents[1]).as_posix(),
        "images": verified.images,
        "multiply_accumulates": sum(layer.multiply_accumulates for layer in summarize(build(name))),
        "accuracy": {file: verified.artifacts[file].accuracy for file in FILES},
        "kib": {file: verified.artifacts[file].bytes / 1024 for file in FILES},
        "latency_us": {file: latency[name, file] for file in FILES},
    }


def _as_int8(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Shift pixels to the input of the other projects' files, whose scale is 1 and whose zero point is -128."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def _answers(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the quantized outputs of another project's file on all images: int8 (N, C)."""
    from ai_edge_litert.interpreter import Interpreter

    size = 100
    with log_hidden():
        interpreter = Interpreter(model_content=content, num_threads=1)
        source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        interpreter.resize_tensor_input(source, (size, *pixels.shape[1:]))
        interpreter.allocate_tensors()
    answers = []
    for start in range(0, len(pixels), size):
        interpreter.set_tensor(source, _as_int8(pixels[start : start + size]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(result))
    return np.concatenate(answers)


def networks_table(figures: dict[str, Any]) -> str:
    """Format the table, the network with the fewest multiply-accumulates first."""
    header = ["network", "million multiply-accumulates", "int8 accuracy", "95 % interval", "KiB", "engine alone (µs)"]
    ordered = sorted(figures["networks"], key=lambda row: (row["multiply_accumulates"], row["images"] is None))
    rows = [_cells(row) for row in ordered]
    device, images = figures["device"], max(row["images"] or 0 for row in ordered)
    note = (
        f"Accuracy in int8 on the {images:,} test images. Of two figures the first is of the ONNX file, the second of "
        "the TFLite file; the other projects have TFLite files. *Engine alone*: ONNX Runtime or LiteRT called "
        "directly, without edgecnn's runtime, which cannot run the other projects' files; all files take turns in "
        f"one process with the same image, on one thread of {device}, median of "
        f"{figures['rounds'] * figures['runs']:,} calls. These times are therefore shorter than latencies measured "
        "through the runtime. We measured MLPerf Tiny's files; ST's row has published figures."
    )
    return f"{table(header, rows, 'lr')}\n\n{note}"


def _cells(row: dict[str, Any]) -> list[str]:
    shares: Sequence[float] = list(row["accuracy"].values())
    name = f"`{row['title']}`" if "published" not in row["accuracy"] and len(shares) > 1 else row["title"]
    interval = ""
    if row["images"]:
        low, high = share_interval(shares[0], row["images"])
        interval = f"{low:.1%} to {high:.1%}"
    return [
        name,
        f"{row['multiply_accumulates'] / 1e6:.1f}",
        ", ".join(f"{share:.2%}" for share in shares),
        interval,
        ", ".join(f"{kib:.0f}" for kib in row["kib"].values()),
        ", ".join(f"{latency:.0f}" for latency in row["latency_us"].values()),
    ]


def publish(figures: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the figures to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, figures)
    replace_marked(document, MARKER, networks_table(figures))
