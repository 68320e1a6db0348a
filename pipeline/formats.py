"""The model files that export writes: one row each, in the order in which tables list them.

A row owns all that is known of its file. Looking one up imports neither TensorFlow nor an engine: what builds, packs or
takes a file apart is named here, and imported when it is called. What runs a file is stated by the engine that has its
suffix (``runtime.engines``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import artifacts


@dataclass(frozen=True)
class Tolerance:
    """The most a file may differ from Keras. Agreement is a share 0-1, the accuracy drop in points.

    On few test images all but the differences of fp32 may be larger by chance; ``AcceptanceCriteria`` says when
    they count.

    fp32 files may differ from Keras by 1e-5 in any probability, or by ``verify.parity.ROUNDINGS`` times Keras's own
    rounding where that is more. Keras's rounding is its largest difference from the same weights in float64
    (``pipeline.export.load.rounding``), so that the bound follows from the depth and the width of the network. Measured
    on the network of the notes, and on MobileNetV2 of 96 and 224 pixels with narrow and wide answers, the files of ONNX
    Runtime and LiteRT differed from Keras by 0.8 to 5.5 times that: 2e-6 for MobileNetV2 at 224 pixels with answers of
    32 % on average, 6e-6 with answers of 78 %. A wrong constant, padding or order of channels moves probabilities a
    thousand times further.
    """

    max_difference: float
    mean_difference: float
    min_agreement: float
    max_accuracy_drop: float


@dataclass(frozen=True)
class Precision:
    """What a file computes in.

    Attributes:
        name: as ``runtime.spec.ModelSpec`` has it.
        tolerance: how far the file may be from Keras.
        golden_tolerance: the most that a probability may differ from its golden answer on another processor.
        threshold_db: the signal-to-noise ratio below which a layer counts as drifted.
        dashes: of its lines in a report, as Matplotlib takes them.
    """

    name: str
    tolerance: Tolerance
    golden_tolerance: float
    threshold_db: float
    dashes: Any


FP32 = Precision("fp32", Tolerance(1e-5, 1e-5, 1.0, 0.0), 1e-5, 80.0, (0, (5, 2)))
FP16 = Precision("fp16", Tolerance(0.05, 1e-3, 0.99, 0.2), 1e-3, 40.0, (0, (1, 1.5)))
INT8 = Precision("int8", Tolerance(1.0, 0.02, 0.97, 0.5), 0.05, 15.0, "-")
DYNAMIC = Precision("dynamic", Tolerance(0.5, 0.01, 0.98, 0.5), 0.05, 20.0, (0, (5, 1.5, 1, 1.5)))
"""Processors round the rescaled sums of int8 differently: a step of 1/256 here and there, which a softmax spreads."""
PRECISIONS = (INT8, FP32, FP16, DYNAMIC)


@dataclass(frozen=True)
class Container:
    """How files of a suffix are packed and taken apart; each function by its module and name.

    Attributes:
        familiarity: a graph to one with a second output, which tells how familiar an image is.
        is_familiarity_cheap: whether that costs at most 2 % of the time for an image of a small network, so that it is
            there unless nobody wants it.
        pack: graph, spec and golden set (or ``None``) to the file's bytes.
        tap: the file's bytes to its intermediate values (``pipeline.verify.drift.taps.Tap``); drift leaves out files
            without one.
        tools: packages whose versions the manifest records where such a file is written.
    """

    familiarity: str
    pack: str
    is_familiarity_cheap: bool = False
    tap: str | None = None
    tools: tuple[str, ...] = ()


ONNX = Container(
    "pipeline.export.familiarity:of_onnx",
    "pipeline.export.onnx:with_metadata",
    is_familiarity_cheap=True,
    tap="pipeline.verify.drift.onnx_tap:OnnxTap",
)
TFLITE = Container(
    "pipeline.export.familiarity:of_tflite",
    "pipeline.export.tflite:with_metadata",
    tap="pipeline.verify.drift.tflite_tap:TfliteTap",
)
NCNN = Container(
    "pipeline.export.familiarity:of_ncnn",
    "pipeline.export.ncnn:with_metadata",
    tools=("ncnn", "pnnx"),
)


@dataclass(frozen=True)
class Format:
    """A model file.

    Attributes:
        file: its name in an export folder.
        precision: what it computes in.
        container: how it is packed.
        builder: what builds it, by module and name: a function of ``pipeline.export.formats``.
        option: what ``--formats`` calls it; several files may share one. ``None``: it is always written.
        about: what the help of ``--formats`` says of it.
    """

    file: str
    precision: Precision
    container: Container
    builder: str
    option: str | None = None
    about: str = ""

    @property
    def build(self) -> Callable[..., Any]:
        """``ExportInputs`` and this row to the graph."""
        return _imported(self.builder)

    @property
    def with_familiarity(self) -> Callable[..., Any]:
        """Graph to the same with a second output."""
        return _imported(self.container.familiarity)

    @property
    def pack(self) -> Callable[..., bytes]:
        """Graph, spec and golden set (or ``None``) to the file's bytes."""
        return _imported(self.container.pack)

    @property
    def tap(self) -> Callable[[bytes], Any] | None:
        """The file's bytes to its intermediate values."""
        return _imported(self.container.tap) if self.container.tap else None


FORMATS = (
    Format(artifacts.FP32_ONNX, FP32, ONNX, "pipeline.export.formats:fp32_onnx"),
    Format(artifacts.INT8_ONNX, INT8, ONNX, "pipeline.export.formats:int8_onnx"),
    Format(artifacts.FP32_TFLITE, FP32, TFLITE, "pipeline.export.formats:fp32_tflite"),
    Format(artifacts.INT8_TFLITE, INT8, TFLITE, "pipeline.export.formats:int8_tflite"),
    Format(
        "model_fp16.tflite", FP16, TFLITE, "pipeline.export.formats:fp16_tflite",
        "fp16", "TFLite: weights in half precision",
    ),
    Format(
        "model_dynamic.onnx", DYNAMIC, ONNX, "pipeline.export.formats:dynamic_onnx",
        "dynamic", "ONNX and TFLite: int8 weights, float activations",
    ),
    Format("model_dynamic.tflite", DYNAMIC, TFLITE, "pipeline.export.formats:dynamic_tflite", "dynamic"),
    Format("model_fp32.ncnn", FP32, NCNN, "pipeline.export.ncnn:fp32", "ncnn", "for NCNN, in float; needs pnnx"),
    Format(
        "model_fp16.ncnn", replace(FP16, golden_tolerance=0.02), NCNN, "pipeline.export.ncnn:fp16",
        "ncnn-fp16", "for NCNN: weights and arithmetic in half precision; needs pnnx",
    ),
)  # fmt: skip

MODEL_FILES = tuple(row.file for row in FORMATS if row.option is None)
"""What export always writes."""


def format_of(file: str) -> Format:
    """The row of a file's name.

    Raises:
        KeyError: there is none.
    """
    return {row.file: row for row in FORMATS}[file]


def options() -> dict[str, str]:
    """What ``--formats`` takes, and what each of them writes in words."""
    return {row.option: row.about for row in FORMATS if row.option and row.about}


def files_of(chosen: Iterable[str]) -> tuple[str, ...]:
    """The files that are written where ``--formats`` names these."""
    return tuple(row.file for row in FORMATS if row.option is None or row.option in set(chosen))


def precision_of(file: str) -> Precision:
    """What a file computes in by its name, whatever program wrote it; fp32 where the name does not tell."""
    return next((precision for precision in PRECISIONS if precision.name in Path(file).name), FP32)


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
