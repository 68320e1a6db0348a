"""Keras model -> model files for the device, each carrying its spec, and a manifest beside them."""

import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data import samples
from pipeline.data.dataset import Dataset
from pipeline.errors import ExportError
from pipeline.export import onnx, tflite
from runtime.spec import ModelSpec

TOOLS = ("tensorflow", "keras", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert", "numpy", "pillow")


def load_model(path: Path) -> keras.Model:
    """Read a Keras image classifier without running any code of its own.

    Raises:
        ExportError: not a Keras file, custom code inside, or not one square image in and one class vector out.
    """
    if not path.is_file():
        raise ExportError(f"{path}: no such file; expected a .keras file as python -m pipeline train writes it")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its parsers raise
        raise ExportError(
            f"{path}: not a Keras model that can be loaded safely ({str(error).splitlines()[0]})"
        ) from error
    inputs, outputs = model.input_shape, model.output_shape
    if (
        not isinstance(inputs, tuple)
        or len(inputs) != 4
        or inputs[1] != inputs[2]
        or inputs[3] != 3
        or inputs[1] is None
    ):
        raise ExportError(f"{path}: expected one input (None, S, S, 3), got {inputs}")
    if not isinstance(outputs, tuple) or len(outputs) != 2:
        raise ExportError(f"{path}: expected one output (None, classes), got {outputs}")
    return model


def read_class_names(model_path: Path, class_count: int) -> tuple[str, ...]:
    """Class names out of the ``history.json`` that training leaves beside the model.

    Raises:
        ExportError: no such file, or another number of classes than the model has.
    """
    path = model_path.parent / artifacts.HISTORY
    try:
        names = tuple(json.loads(path.read_text(encoding="utf-8"))["class_names"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path}: no class names there ({error}); keep history.json beside the model") from error
    if len(names) != class_count:
        raise ExportError(f"{path} names {len(names)} classes, {model_path} has {class_count}")
    return names


def export(model_path: Path, out: Path, calibration: Dataset | None = None) -> dict[str, Any]:
    """Write the four model files, a copy of the Keras file, and ``manifest.json`` into ``out``.

    Args:
        model_path: a ``.keras`` file; float32 (N, S, S, 3) in 0-1 to float32 (N, C) probabilities.
        out: folder to write; each file is replaced whole.
        calibration: images that fix the int8 ranges; by default those shipped with the reference.

    Returns:
        What ``manifest.json`` holds.

    Raises:
        ExportError: the model or its class names are unusable.
    """
    model = load_model(model_path)
    class_names = read_class_names(model_path, int(model.output_shape[-1]))
    calibration = calibration or samples.read_calibration(artifacts.REFERENCE_DIR)
    side = int(model.input_shape[1])
    if calibration.side != side or calibration.class_names != class_names:
        raise ExportError(
            f"{model_path} takes {side}x{side} images of {', '.join(class_names)}; the calibration images are "
            f"{calibration.side}x{calibration.side} of {', '.join(calibration.class_names)}"
        )
    keras_content = model_path.read_bytes()
    history = (model_path.parent / artifacts.HISTORY).read_bytes()
    provenance = {"keras_sha256": sha256(keras_content), "calibration_sha256": calibration.digest}

    def spec(precision: str) -> ModelSpec:
        return ModelSpec(side, class_names, precision, provenance=provenance)

    network = onnx.convert(model)
    recipes: dict[str, Callable[[], bytes]] = {
        artifacts.FP32_ONNX: lambda: onnx.with_metadata(onnx.fp32(network), spec("fp32")),
        artifacts.INT8_ONNX: lambda: onnx.with_metadata(onnx.quantize(network, calibration.pixels), spec("int8")),
        artifacts.FP32_TFLITE: lambda: tflite.with_metadata(tflite.convert(model), spec("fp32")),
        artifacts.INT8_TFLITE: lambda: tflite.with_metadata(tflite.quantize(model, calibration.pixels), spec("int8")),
    }
    contents = {artifacts.MODEL_KERAS: keras_content, artifacts.HISTORY: history}
    for number, (name, build) in enumerate(recipes.items(), start=1):
        print(f"[{number}/{len(recipes)}] {name}", file=sys.stderr, flush=True)
        contents[name] = build()
    manifest = {
        "files": {
            name: {"bytes": len(content), "sha256": sha256(content)} for name, content in sorted(contents.items())
        },
        "class_names": list(class_names),
        "side": side,
        "calibration": {"images": len(calibration), "digest": calibration.digest},
        "versions": {"python": platform.python_version(), **{tool: version(tool) for tool in TOOLS}},
    }
    for name, content in contents.items():
        artifacts.write_bytes(out / name, content)
    artifacts.write_json(out / artifacts.MANIFEST, manifest)
    return manifest
