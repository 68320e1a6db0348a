"""Keras model -> model files for the device, each carrying its spec, and a manifest beside them."""

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data import samples
from pipeline.data.dataset import Dataset
from pipeline.errors import ExportError
from pipeline.export import onnx, tflite
from pipeline.export.load import Source, keras_bytes, load
from runtime.spec import ModelSpec

TOOLS = ("tensorflow", "keras", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert", "numpy", "pillow")


def export(source: Source, out: Path, calibration: Dataset | None = None) -> dict[str, Any]:
    """Write the four model files, a copy of the Keras file, and ``manifest.json`` into ``out``.

    Args:
        source: the model file and what it expects; its scaling and temperature become part of the exported graphs.
        out: folder to write; each file is replaced whole.
        calibration: images that fix the int8 ranges; by default those shipped with the reference.

    Returns:
        What ``manifest.json`` holds.

    Raises:
        ExportError: the model or its class names are unusable.
    """
    deployable = load(source)
    scaling, class_names, side = deployable.scaling, deployable.class_names, deployable.side
    calibration = calibration or samples.read_calibration(artifacts.REFERENCE_DIR)
    if calibration.side != side or calibration.class_names != class_names:
        raise ExportError(
            f"{source.path} takes {side}x{side} images of {', '.join(class_names)}; the calibration images are "
            f"{calibration.side}x{calibration.side} of {', '.join(calibration.class_names)}"
        )
    keras_content = keras_bytes(source.path, deployable.model)
    provenance = {"keras_sha256": sha256(keras_content), "calibration_sha256": calibration.digest}

    def spec(precision: str) -> ModelSpec:
        return ModelSpec(
            side,
            deployable.class_names,
            precision,
            scale=scaling.scale,
            offset=scaling.offset,
            temperature=deployable.temperature,
            provenance=provenance,
        )

    network = onnx.convert(deployable)
    recipes: dict[str, Callable[[], bytes]] = {
        artifacts.FP32_ONNX: lambda: onnx.with_metadata(onnx.fp32(network, deployable.network_scaling), spec("fp32")),
        artifacts.INT8_ONNX: lambda: onnx.with_metadata(
            onnx.quantize(network, deployable.network_scaling, calibration.pixels), spec("int8")
        ),
        artifacts.FP32_TFLITE: lambda: tflite.with_metadata(tflite.convert(deployable), spec("fp32")),
        artifacts.INT8_TFLITE: lambda: tflite.with_metadata(
            tflite.quantize(deployable, calibration.pixels), spec("int8")
        ),
    }
    contents = {artifacts.MODEL_KERAS: keras_content}
    history = source.path.parent / artifacts.HISTORY
    if history.is_file():
        contents[artifacts.HISTORY] = history.read_bytes()
    for number, (name, build) in enumerate(recipes.items(), start=1):
        print(f"[{number}/{len(recipes)}] {name}", file=sys.stderr, flush=True)
        contents[name] = build()
    manifest = {
        "files": {
            name: {"bytes": len(content), "sha256": sha256(content)} for name, content in sorted(contents.items())
        },
        "class_names": list(class_names),
        "side": side,
        "scale": scaling.scale,
        "offset": scaling.offset,
        "temperature": deployable.temperature,
        "calibration": {"images": len(calibration), "digest": calibration.digest},
        "versions": {"python": platform.python_version(), **{tool: version(tool) for tool in TOOLS}},
    }
    for name, content in contents.items():
        artifacts.write_bytes(out / name, content)
    artifacts.write_json(out / artifacts.MANIFEST, manifest)
    return manifest
