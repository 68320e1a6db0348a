"""Reading what a person calls "my model": every way it can be unfit is one clear line, and no code of it runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from pipeline import artifacts
from pipeline.errors import ExportError, PipelineError
from pipeline.export.deployable import Deployable
from pipeline.export.scaling import UNIT_SCALING, PixelScaling


@dataclass(frozen=True)
class Source:
    """A model file, and what a person must say of it because the file does not.

    Attributes:
        path: the Keras file.
        class_names: one an output; ``None`` takes those in the ``history.json`` beside the model.
        scaling: from pixels 0-255 to what the model expects.
        temperature: what its logits are divided by; ``None`` takes what training fitted on its validation images and
            left in the ``history.json`` beside the model, or 1 without one.
    """

    path: Path
    class_names: tuple[str, ...] | None = None
    scaling: PixelScaling = UNIT_SCALING
    temperature: float | None = None


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


def read_temperature(model_path: Path) -> float:
    """The temperature in the ``history.json`` that training leaves beside the model; 1 where there is none.

    Raises:
        ExportError: the entry is no number.
    """
    path = model_path.parent / artifacts.HISTORY
    if not path.is_file():
        return 1.0
    try:
        return float(artifacts.read_json(path).get("temperature", 1.0))
    except (ValueError, TypeError, AttributeError) as error:
        raise ExportError(f"{path}: no readable temperature there ({error}); restore the history") from error


def load(source: Source) -> Deployable:
    """The classifier in a model file, ready to convert.

    Raises:
        ExportError: the model or its class names are unusable.
    """
    model = load_model(source.path)
    names = source.class_names or read_class_names(source.path, int(model.output_shape[-1]))
    temperature = read_temperature(source.path) if source.temperature is None else source.temperature
    return Deployable(model, names, source.scaling, temperature)


def load_exported(folder: Path) -> Deployable:
    """The reference of an export folder, as its manifest describes it.

    Raises:
        PipelineError: the folder has no readable manifest, or its Keras file is unusable.
    """
    manifest = read_manifest(folder)
    scaling = PixelScaling(tuple(manifest["scale"]), tuple(manifest["offset"]))
    names = tuple(manifest["class_names"])
    return load(Source(folder / artifacts.MODEL_KERAS, names, scaling, manifest["temperature"]))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export folder; ``scale``, ``offset`` and ``temperature`` are filled in where it is older.

    Raises:
        PipelineError: none there, or not one that export wrote.
    """
    path = folder / artifacts.MANIFEST
    defaults = {"scale": UNIT_SCALING.scale, "offset": UNIT_SCALING.offset, "temperature": 1.0}
    try:
        manifest: dict[str, Any] = defaults | artifacts.read_json(path)
        if not {"files", "class_names", "side"} <= set(manifest):
            raise ValueError("entries are missing")
    except (OSError, ValueError, TypeError) as error:
        raise PipelineError(f"{path}: no readable manifest ({error}); run python -m pipeline export first") from error
    return manifest
