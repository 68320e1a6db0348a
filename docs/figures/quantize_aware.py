"""Compare quantization-aware training with post-training quantization, by accuracy on validation images."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.data import samples
from pipeline.data.dataset import Dataset
from pipeline.documents.history import History
from pipeline.errors import PipelineError
from pipeline.export import onnx
from pipeline.export.formats import ExportInputs, load_bytes
from pipeline.export.load.model import Source, load
from pipeline.export.quantize.answers import predict_all
from pipeline.export.quantize.config import LEARNED, QuantConfig
from pipeline.export.quantize.learned import Learned
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.formats import format_of
from pipeline.metrics.classification import accuracy, correct, discordant
from pipeline.metrics.significance import mcnemar, share_interval
from pipeline.text import table

FIGURES, DOCUMENT, MARKER = Path("docs/quantize-aware.json"), Path("docs/quantization.md"), "quantize-aware"
FILES = ("model_int8.onnx", "model_int8.tflite")
IMAGES = 500


@dataclass(frozen=True)
class Row:
    """Accuracies (0-1) of a network before and after quantization-aware fine-tuning, on the same images.

    Attributes:
        images: number of validation images.
        epochs: of fine-tuning.
        weights: description of the weights' quantization.
        before: in float, before the fine-tuning.
        after: in float, after the fine-tuning.
        simulated: with simulated int8, after the fine-tuning.
        post_training: file -> int8 accuracy of the network before, with min-max calibration.
        trained: file -> int8 accuracy of the network after.
        p_values: file -> p-value of McNemar's test between the two int8 files.
    """

    images: int
    epochs: int
    weights: str
    before: float
    after: float
    simulated: float
    post_training: dict[str, float] = field(default_factory=dict)
    trained: dict[str, float] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)


def measure(start: Source, tuned: Path, photos: tuple[Dataset, Dataset] | None = None) -> Row:
    """Quantize a network before and after ``fine-tune --quantize-aware``, and measure both.

    Args:
        start: the network before.
        tuned: the folder that the fine-tuning wrote.
        photos: training and validation images; by default CIFAR-10's.

    Raises:
        PipelineError: the folder has no network of quantization-aware training.
    """
    history = History.read(tuned)
    if (trained := history.quantize_aware) is None:
        raise PipelineError(f"{tuned}: not trained with --quantize-aware")
    if photos is None:
        calibration, validation = samples.calibration_images(), samples.validation_images(history)
    else:
        calibration, validation = samples.draw_calibration(photos[0]), photos[1]
    images = min(IMAGES, len(calibration))
    config = QuantConfig(images=images, per_channel=trained.per_channel, reduce_range=trained.reduce_range)
    first, second = _inputs(start, calibration, validation), _inputs(_moved(start, tuned), calibration, validation)
    second = replace(second, trained=trained)
    weights = f"{7 if trained.reduce_range else 8} bits, {'per channel' if trained.per_channel else 'per tensor'}"
    row = Row(len(validation), trained.epochs, weights, trained.before, trained.float_accuracy, trained.accuracy)
    for name in FILES:
        answers = _answers(first, name, config), _answers(second, name, replace(config, method=LEARNED))
        row.post_training[name], row.trained[name] = (accuracy(part, validation.labels) for part in answers)
        right = [correct(part, validation.labels) for part in answers]
        row.p_values[name] = mcnemar(*discordant(right[0], right[1]))
    return row


def _moved(start: Source, tuned: Path) -> Source:
    """Return ``start`` with the path of the fine-tuned model; its temperature does not matter for accuracy."""
    return replace(start, path=tuned / artifacts.MODEL_KERAS)


def _inputs(source: Source, calibration: Dataset, validation: Dataset) -> ExportInputs:
    return ExportInputs(load(source), calibration, validation)


def _answers(inputs: ExportInputs, name: str, config: QuantConfig) -> NDArray[np.float32]:
    """Build a file and return its answers to the validation images, float32 (N, C); TFLite has no 7-bit weights."""
    row, pixels = format_of(name), inputs.calibration.pixels[: config.images]
    learned = None if inputs.trained is None else Learned(inputs.deployable, inputs.trained)
    if name.endswith(".onnx"):
        prepared = inputs.deployable.for_int8
        network = onnx.convert(prepared)
        graph: Any = OnnxQuantizer(network, prepared.network_scaling, pixels, (config.images,), learned=learned).build(
            config
        )
    else:
        quantizer = TfliteQuantizer(inputs.deployable, pixels, (config.images,), learned)
        graph = quantizer.build(replace(config, reduce_range=False))
    return predict_all(load_bytes, row.pack(graph, inputs.spec("int8"), None), inputs.validation.pixels)


def publish(name: str, row: Row) -> str:
    """Add a row to ``docs/quantize-aware.json`` and write all rows into the document; return the table."""
    rows = artifacts.read_json(FIGURES) if FIGURES.is_file() else {}
    rows[name] = asdict(row)
    artifacts.write_json(FIGURES, rows)
    text = format_rows(rows)
    replace_marked(DOCUMENT, MARKER, text)
    return text


def format_rows(rows: dict[str, dict[str, Any]]) -> str:
    """Format a line for each network and file: accuracies, and the share of the loss that the training recovers."""
    lines = []
    for name, row in rows.items():
        for file in FILES:
            before, after = row["post_training"][file], row["trained"][file]
            lost = row["before"] - before
            low, high = share_interval(after, row["images"])
            cells = [name, row["weights"], f"`{file}`", f"{row['images']:,}", f"{row['before']:.2%}", f"{before:.2%}"]
            cells += [f"{after:.2%} ({low:.1%} to {high:.1%})", f"{row['simulated']:.2%}"]
            won = f"{(after - before) / lost:.0%}" if lost > 0 else "nothing lost"
            lines.append([*cells, won, f"{row['p_values'][file]:.2g}"])
    header = ["network", "weights", "file", "images", "float before", "post-training int8", "trained int8 (95 %)"]
    header += ["simulated", "of the loss won back", "p"]
    return (
        f"{table(header, lines, 'lllr')}\n\nValidation images. *Post-training* is minimum and maximum of {IMAGES} "
        "images; p is McNemar's test between the two int8 files. TFLite weights have 8 bits in every row."
    )
