"""The one form in which classifiers are exported, and how other classifiers are brought into it.

Whatever a model computes in and however its answer is written, the exported files take RGB pixels and answer with one
probability a class. So a loaded model becomes an equal one: float32, three channels in; softmax, logits or sigmoids of
two classes or more out.
"""

import math

import keras

from pipeline.data.dataset import by
from pipeline.errors import ExportError, reason
from pipeline.export.load.dtype import computes_in, in_dtype
from pipeline.export.load.gray import color_model, takes_gray
from pipeline.export.load.head import label_model, origin, two_class_model
from runtime.text import first_of


def chosen_output(model: keras.Model, name: str | None) -> keras.Model:
    """The model with one output, the one that ``name`` means where there are several.

    Raises:
        ExportError: there are several and none is named, or none has that name.
    """
    names = [output_name(model, place) for place in range(len(model.outputs))]
    listed = first_of(names)
    if name is not None:
        if name not in names:
            raise ExportError(f"the model has no output {name!r}; it has {listed}: give one of these to --output")
        return keras.Model(model.inputs, model.outputs[names.index(name)]) if len(names) > 1 else model
    if len(names) > 1:
        raise ExportError(f"the model has {len(names)} outputs ({listed}); say which names the class: --output NAME")
    return model


def sized(model: keras.Model, size: tuple[int, int] | None) -> keras.Model:
    """The model for images of a size (height, width), where it takes any.

    Raises:
        ExportError: it takes images of another size, or cannot take any of this one.
    """
    own = tuple(model.inputs[0].shape)
    if size is None or len(own) != 4 or own[1:3] == size:
        return model
    if any(extent not in (None, asked) for extent, asked in zip(own[1:3], size, strict=True)):
        raise ExportError(f"the model takes images of {by(own[1:3])} pixels, asked for {by(size)}: leave the size out")
    image = keras.Input((*size, own[3]), name=model.inputs[0].name)
    try:
        twin = keras.models.clone_model(model, input_tensors=image)
        twin.set_weights(model.get_weights())
    except Exception as error:  # Keras raises whatever its layers raise
        raise ExportError(f"the model cannot take images of {by(size)} pixels ({reason(error)[:300]})") from error
    return twin


def picture_model(model: keras.Model, size: tuple[int, int] | None) -> keras.Model:
    """The model with pictures (N, H, W, C) in and a vector out, where it takes their pixels in another shape.

    Tutorials leave the channel of gray pictures out, (N, H, W), or lay all pixels in a row, (N, H * W) or
    (N, H * W * 3). A fully convolutional classifier answers with a map of one place, (N, 1, 1, C).

    Args:
        model: one input, one output.
        size: height and width of the pictures whose pixels lie in a row; by default they are square.
    """
    shape, answer = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    picture = (*shape[1:], 1) if len(shape) == 3 else _picture(shape[1], size) if len(shape) == 2 else None
    if picture is not None and None not in picture:
        image = keras.Input(picture, name=model.inputs[0].name)
        model = keras.Model(image, model(keras.layers.Reshape(shape[1:])(image)), name=model.name)
    if len(answer) > 2 and set(answer[1:-1]) == {1}:
        last = origin(model.outputs[0])[0].name
        flat = keras.layers.Flatten(name=f"{last}_flat")(model.outputs[0])
        model = keras.Model(model.inputs[0], flat, name=model.name)
    return model


def _picture(pixels: int | None, size: tuple[int, int] | None) -> tuple[int, ...] | None:
    """Height, width and channels of a picture with so many numbers; ``None`` where none has them."""
    for channels in (1, 3):
        height, width = size or (math.isqrt((pixels or 0) // channels),) * 2
        if pixels and height * width * channels == pixels:
            return height, width, channels
    return None


def output_name(model: keras.Model, place: int) -> str:
    """What Keras calls an output: its layer."""
    names = getattr(model, "output_names", None)
    return str(names[place]) if names else str(model.outputs[place].name)


def standard_model(model: keras.Model, *, multi_label: bool = False) -> keras.Model:
    """An equal model in float32 that takes RGB and answers with two classes or more; ``plain_model``, in color."""
    return in_color(plain_model(model, multi_label=multi_label))


def plain_model(model: keras.Model, *, multi_label: bool = False) -> keras.Model:
    """An equal model in float32 that answers with two classes or more.

    Args:
        model: one float image (N, H, W, 1 or 3) in, one vector (N, C) out.
        multi_label: its logits are of labels that do not exclude each other.

    Raises:
        ExportError: it ends in an activation whose outputs are neither probabilities nor logits, or are no labels'.
    """
    if not computes_in(model, "float32"):
        model = in_dtype(model, "float32")
    if multi_label:
        model = label_model(model)
    return two_class_model(model) if model.output_shape[-1] == 1 else model


def in_color(model: keras.Model) -> keras.Model:
    """The model of RGB that a model of gray pictures stands for; one of RGB as it is."""
    return color_model(model) if takes_gray(model) else model
