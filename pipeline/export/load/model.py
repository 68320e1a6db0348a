"""Load a user's Keras model without running code from the file; an unusable file raises an error of one line."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from pipeline import artifacts
from pipeline.data import class_names
from pipeline.data.class_list import TEACHABLE_LABELS
from pipeline.data.photo_settings import Reading
from pipeline.documents.history import path_beside, read_history, say_what_is_taken
from pipeline.documents.manifest import CONTRACT_PARTS, Manifest
from pipeline.errors import ExportError
from pipeline.export.load.custom_code import refuse_custom_code
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.front import front
from pipeline.export.load.head import output_kind
from pipeline.export.load.keras_file import loadable, read_keras_file, refuse_unknown_operators
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.load.standard import chosen_output, in_color, picture_model, plain_model, sized
from pipeline.system.quiet import log_hidden
from runtime.text import first_of, plural

MIN_SIDE, MAX_SIDE = 8, 1024


@dataclass(frozen=True)
class Source:
    """A model file, and the facts about the model that the file does not contain.

    Attributes:
        path: the Keras file.
        class_names: the name of each output; ``None``: those in the model's ``history.json``.
        scaling: from pixels 0-255 to the model's input; ``None``: 1/255, or 1 if the model begins with scaling or
            normalization layers.
        thresholds: of a multi-label model, the probability (0-1) at which an image gets each label.
        temperature: divisor of the logits; ``None``: the temperature that training fitted and stored in
            ``history.json``, or 1 without one.
        resize, resize_filter, fill, ignore_orientation: how photos became pixels, as in ``runtime.spec.ModelSpec``;
            ``None``: as training stored them in ``history.json``, or stretch, bilinear, white and upright.
        bgr: whether the model takes blue, green, red; ``None``: as in ``scaling``, or red, green, blue.
        multi_label: whether the logits are of independent labels; not needed for a model that ends in sigmoids.
        output: name of the output that holds the classes, if the model has several outputs.
        size: height and width of the images in pixels, for a model that takes any size.
        names_from: the file that lists ``class_names``, for messages; ``None`` if there is none.
    """

    path: Path
    class_names: tuple[str, ...] | None = None
    scaling: PixelScaling | None = None
    temperature: float | None = None
    resize: str | None = None
    resize_filter: str | None = None
    output: str | None = None
    size: tuple[int, int] | None = None
    fill: tuple[int, int, int] | None = None
    ignore_orientation: bool | None = None
    bgr: bool | None = None
    thresholds: tuple[float, ...] | None = None
    multi_label: bool = False
    names_from: Path | None = None

    @property
    def reading(self) -> Reading:
        """The settings for reading photos; ``None`` for each that was not stated."""
        return Reading(
            resize=self.resize,
            resize_filter=self.resize_filter,
            fill=self.fill,
            ignore_orientation=self.ignore_orientation,
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the input settings that were stated, out of ``pipeline.documents.manifest.CONTRACT_PARTS``."""
        said = {"range": self.scaling, "bgr": self.bgr, **self.reading}
        return tuple(name for name in CONTRACT_PARTS if said[name] is not None)


def load_model(path: Path, output: str | None = None, size: tuple[int, int] | None = None) -> keras.Model:
    """Load a Keras image classifier without running code from the file.

    Args:
        path: the file.
        output: name of the output that holds the classes, if there are several outputs.
        size: height and width of the images in pixels, for a model that takes any size.

    Raises:
        ExportError: the file is not a Keras file, contains custom code or weights that are not finite, or the model
            does not take one image and give one vector of classes.
    """
    file = read_keras_file(path)
    refuse_custom_code(path, file.config)
    refuse_unknown_operators(file)
    try:
        with log_hidden(), loadable(file) as readable:
            model = keras.models.load_model(readable, compile=False, safe_mode=True)
    except Exception as error:  # Keras's parsers raise exceptions of any class
        raise file.refusal(error) from error
    model = _checked(path, model, output, size)
    for variable in model.weights:
        if not np.isfinite(np.asarray(variable)).all():
            raise ExportError(f"{path}: the weights {variable.path} are not all finite numbers; train the model again")
    return model


def _checked(path: Path, model: keras.Model, output: str | None, size: tuple[int, int] | None) -> keras.Model:
    """Return the model with the chosen output only, after checking that it is an image classifier."""
    if not getattr(model, "inputs", None):
        raise ExportError(f"{path}: the model does not say which images it takes; begin it with keras.Input((S, S, 3))")
    if len(model.inputs) != 1:
        raise ExportError(
            f"{path}: expected one input, an image; the model has {len(model.inputs)}: save a model of the image alone"
        )
    try:
        model = sized(picture_model(chosen_output(model, output), size), size)
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
    shape, answer = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ExportError(
            f"{path}: expected RGB images (None, S, S, 3) or gray ones (None, S, S, 1), the model takes {shape}"
            f"{_how_to_take_images(shape)}"
        )
    if None in shape[1:3]:
        raise ExportError(
            f"{path}: the model takes images of any size {shape}; say which: --height PIXELS --width PIXELS"
        )
    outside = [extent for extent in shape[1:3] if not MIN_SIDE <= extent <= MAX_SIDE]
    if outside:
        raise ExportError(f"{path}: images of {MIN_SIDE} to {MAX_SIDE} pixels a side are exported, not of {outside[0]}")
    if len(answer) != 2 or answer[1] is None:
        raise ExportError(
            f"{path}: expected one vector of classes (None, C), the model gives {answer}; end it in "
            "keras.layers.GlobalAveragePooling2D() or a dense layer"
        )
    return model


def _how_to_take_images(shape: tuple[int | None, ...]) -> str:
    """Advise on how to turn a model with another input shape into a model of images."""
    if len(shape) == 4 and shape[1] in (1, 3):
        image = f"keras.Input({(*shape[2:], shape[1])})"
        return f"; save keras.Sequential([{image}, keras.layers.Permute((3, 1, 2)), model]), which takes channels last"
    return "; save a model that begins with keras.Input((S, S, 3))"


@dataclass(frozen=True)
class Loaded:
    """A model file and the classifier that was loaded from it.

    Attributes:
        source: the model file and its input settings.
        deployable: the classifier.
        checked: the result of checking the input settings on labeled images; empty if they were not checked.
    """

    source: Source
    deployable: Deployable
    checked: str = ""


def load(source: Source) -> Deployable:
    """Load the classifier from a model file, ready to convert; prints on stderr what it takes from ``history.json``.

    Raises:
        ExportError: the model or its class names are unusable.
        DocumentError: the ``history.json`` of this model is unusable.
    """
    model = load_model(source.path, source.output, source.size)
    try:
        model = plain_model(model, multi_label=source.multi_label)
        kind = output_kind(model)
    except ExportError as error:
        raise ExportError(f"{source.path}: {error}") from error
    class_count = int(model.output_shape[-1])
    history = read_history(source.path)
    names, temperature = source.class_names, source.temperature
    if history is not None:
        say_what_is_taken(source.path, history, names, temperature)
        names = names or (history.class_names or ())
        temperature = history.temperature if temperature is None else temperature
    if not names:
        beside = source.path.with_name(TEACHABLE_LABELS)
        if beside.is_file():
            raise ExportError(f"{source.path}: no class names; if {beside} lists them, give --classes {beside}")
        raise ExportError(
            f"{source.path}: no class names; give --classes FILE with one name per line, in the order of the model's "
            f"outputs, or put beside it the {artifacts.HISTORY} that python -m pipeline train wrote for this model"
        )
    if len(names) == 1 and class_count == 2 and kind != "sigmoid":  # a single output: the probability of this class
        names = (f"not {names[0]}", names[0])
    if len(names) != class_count:
        raise ExportError(_wrong_count(source, names, class_count))
    fault = class_names.fault(names)
    if fault:
        raise ExportError(f"{source.path}: its list of classes: {fault}")
    scaling = source.scaling or front(model).expected  # of the gray model: a luma layer would hide its scaling
    scaling = scaling if source.bgr is None else replace(scaling, bgr=source.bgr)
    return Deployable(in_color(model), names, scaling, temperature or 1.0, thresholds=source.thresholds)


def _wrong_count(source: Source, names: tuple[str, ...], class_count: int) -> str:
    listed = f"{plural(len(names), 'class name')} ({first_of(names)})"
    has = f"{source.path} has {plural(class_count, 'class')}"
    if source.class_names is None:
        return f"{path_beside(source.path)}: {listed}, but {has}; give the right names with --classes FILE"
    if source.names_from is None:
        return f"{listed} given, but {has}"
    return f"{source.names_from}: {listed}, but {has}; expected one name per line, in the order of the model's outputs"


def keras_bytes(path: Path, model: keras.Model) -> bytes:
    """Return the bytes of the model's ``.keras`` file: the file itself, or, if it is HDF5, the model saved again."""
    if path.suffix == ".keras":
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        modern = Path(folder) / artifacts.MODEL_KERAS
        model.save(modern)
        return modern.read_bytes()


def load_exported(folder: Path) -> Deployable:
    """Load the Keras reference of an export folder, with the settings in its manifest.

    Raises:
        PipelineError: the folder has no readable manifest, or its Keras file is unusable or differs from the listed
            one.
    """
    manifest, path = Manifest.read(folder), folder / artifacts.MODEL_KERAS
    listed = manifest.sha256_of(artifacts.MODEL_KERAS)
    if path.is_file() and (digest := artifacts.sha256(path.read_bytes())) != listed:
        says = f"says {listed[:12]}" if listed else "does not list it"
        raise ExportError(
            f"{path}: changed since export: its SHA-256 begins {digest[:12]}, {artifacts.MANIFEST} {says}: "
            "export again, or copy both files again"
        )
    scaling = PixelScaling(manifest.scale, manifest.offset, manifest.bgr)
    return load(
        Source(
            path,
            manifest.class_names,
            scaling,
            manifest.temperature,
            output=manifest.output,
            size=manifest.size,
            thresholds=manifest.thresholds,
            multi_label=manifest.thresholds is not None,
        )
    )
