"""The formats of model files that export writes: one row each, in the order of tables.

A row has everything that is specific to its file. Importing this module imports neither TensorFlow nor an engine: the
functions that build, pack or read a file are given by name, and imported when they are used. Which engine runs a file
depends on its suffix (``runtime.engines``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import artifacts


@dataclass(frozen=True)
class Tolerance:
    """The limits of a file's difference from Keras: probabilities and agreement (0-1), accuracy drop in points.

    Except for the differences of fp32 files, a limit on few test images counts as violated only if chance does not
    explain it; see ``AcceptanceCriteria``.

    fp32 files may differ from Keras by 1e-5 in any probability, or by ``verify.parity.ROUNDINGS`` times Keras's own
    rounding error if that is more. Keras's rounding error is its largest difference from the same weights in float64
    (``pipeline.export.load.rounding``), so the limit adapts to the depth and the width of the network. On the network
    of the notes, and on MobileNetV2 at 96 and 224 pixels, the files of ONNX Runtime and LiteRT differed from Keras by
    0.8 to 5.5 times that: by 2e-6 for MobileNetV2 at 224 pixels with a mean confidence of 32 %, by 6e-6 with one of
    78 %. A wrong constant, padding or channel order changes probabilities a thousand times more.
    """

    max_difference: float
    mean_difference: float
    min_agreement: float
    max_accuracy_drop: float


@dataclass(frozen=True)
class Precision:
    """The numeric precision of a file.

    Attributes:
        name: as in ``runtime.spec.ModelSpec``.
        tolerance: limits of the difference from Keras.
        golden_tolerance: the largest difference of a probability (0-1) from the golden set on another processor.
        threshold_db: the signal-to-noise ratio below which a layer counts as drifted.
        dashes: Matplotlib line style in the report.
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
"""The golden tolerances of int8 and dynamic are large because processors round rescaled int8 sums differently, by
steps of 1/256 in places, which softmax can amplify."""
PRECISIONS = (INT8, FP32, FP16, DYNAMIC)


@dataclass(frozen=True)
class Container:
    """The functions that pack and read files of a suffix, each given as "module:name".

    Attributes:
        familiarity: adds a second output, the familiarity score of an image, to a graph.
        is_familiarity_cheap: whether that costs at most 2 % of a small network's latency; it is then added by default.
        pack: builds the file's bytes from graph, spec and golden set (or ``None``).
        tap: reads intermediate tensors from the file's bytes (``pipeline.verify.drift.taps.Tap``); ``None``: drift
            leaves such files out.
        tools: packages whose versions the manifest records if such a file is written.
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
    "pipeline.export.ncnn:with_familiarity",
    "pipeline.export.ncnn:with_metadata",
    tools=("ncnn", "pnnx"),
)


@dataclass(frozen=True)
class Format:
    """A format of model files.

    Attributes:
        file: name of the file in an export folder.
        precision: its numeric precision.
        container: its packing.
        builder: the function that builds its graph, as "module:name".
        option: its name in ``--formats``; several files may share one. ``None``: it is always written.
        about: its description in the help of ``--formats``.
    """

    file: str
    precision: Precision
    container: Container
    builder: str
    option: str | None = None
    about: str = ""

    @property
    def build(self) -> Callable[..., Any]:
        """The function that builds the graph from ``ExportInputs`` and this row."""
        return _imported(self.builder)

    @property
    def with_familiarity(self) -> Callable[..., Any]:
        """The function that adds the familiarity output to a graph."""
        return _imported(self.container.familiarity)

    @property
    def pack(self) -> Callable[..., bytes]:
        """The function that builds the file's bytes from graph, spec and golden set (or ``None``)."""
        return _imported(self.container.pack)

    @property
    def tap(self) -> Callable[[bytes], Any] | None:
        """The function that makes a ``Tap`` from the file's bytes; ``None`` if there is none."""
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
"""The files that export always writes."""


def format_of(file: str) -> Format:
    """Return the format of a file name.

    Raises:
        KeyError: no format has this file name.
    """
    return {row.file: row for row in FORMATS}[file]


def options() -> dict[str, str]:
    """Return the options of ``--formats`` and their descriptions."""
    return {row.option: row.about for row in FORMATS if row.option and row.about}


def files_of(chosen: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the files that are written with these options of ``--formats``."""
    return tuple(row.file for row in FORMATS if row.option is None or row.option in set(chosen))


def precision_of(file: str) -> Precision:
    """Guess the precision of any model file from its name; fp32 if the name does not tell."""
    return next((precision for precision in PRECISIONS if precision.name in Path(file).name), FP32)


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
