"""Convert classifiers to the standard form in which they are exported.

The exported files take RGB pixels and give one probability per class. So every loaded model is converted to an
equivalent one that computes in float32, takes three channels, and gives softmax probabilities, logits or sigmoids of
two or more classes.
"""

import math

import keras

from pipeline.data.dataset import format_size
from pipeline.errors import ExportError, reason
from pipeline.export.load.dtype import computes_in, in_dtype
from pipeline.export.load.gray import color_model, takes_gray
from pipeline.export.load.head import label_model, origin, two_class_model
from runtime.text import first_of


def chosen_output(model: keras.Model, name: str | None) -> keras.Model:
    """Return the model with one output: its only one, or the one called ``name``.

    Raises:
        ExportError: there are several outputs and ``name`` is ``None``, or no output has this name.
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
    """Fix a model that takes any size to images of ``size`` (height, width in pixels); other models are unchanged.

    Raises:
        ExportError: the model takes another size, or one of its layers cannot take this one.
    """
    own = tuple(model.inputs[0].shape)
    if size is None or len(own) != 4 or own[1:3] == size:
        return model
    if any(extent not in (None, asked) for extent, asked in zip(own[1:3], size, strict=True)):
        raise ExportError(
            f"the model takes images of {format_size(own[1:3])} pixels, asked for {format_size(size)}: "
            "leave the size out"
        )
    image = keras.Input((*size, own[3]), name=model.inputs[0].name)
    try:
        twin = keras.models.clone_model(model, input_tensors=image)
        twin.set_weights(model.get_weights())
    except Exception as error:  # layers raise exceptions of any class
        raise ExportError(
            f"the model cannot take images of {format_size(size)} pixels ({reason(error)[:300]})"
        ) from error
    return twin


def picture_model(model: keras.Model, size: tuple[int, int] | None) -> keras.Model:
    """Reshape the model to take images (N, H, W, C) and to give a vector (N, C), if it uses other shapes.

    Models from tutorials may omit the channel of gray images, (N, H, W), or take flattened pixels, (N, H * W) or
    (N, H * W * 3). A fully convolutional classifier may give a 1x1 map, (N, 1, 1, C).

    Args:
        model: one input, one output.
        size: height and width of flattened images; by default they are square.
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
    """Guess height, width and channels of a flattened image of ``pixels`` numbers; ``None`` if no such image exists."""
    for channels in (1, 3):
        height, width = size or (math.isqrt((pixels or 0) // channels),) * 2
        if pixels and height * width * channels == pixels:
            return height, width, channels
    return None


def output_name(model: keras.Model, place: int) -> str:
    """Return Keras's name of the output at index ``place``: the name of its layer."""
    names = getattr(model, "output_names", None)
    return str(names[place]) if names else str(model.outputs[place].name)


def plain_model(model: keras.Model, *, multi_label: bool = False) -> keras.Model:
    """Make an equivalent float32 model with two or more classes.

    Args:
        model: takes float images (N, H, W, 1 or 3), gives one vector (N, C).
        multi_label: whether its logits are of independent labels.

    Raises:
        ExportError: ``multi_label``, and the model ends in a softmax, in another activation or in a single output; or
            its single output is neither a probability nor a logit.
    """
    if not computes_in(model, "float32"):
        model = in_dtype(model, "float32")
    if multi_label:
        model = label_model(model)
    return two_class_model(model) if model.output_shape[-1] == 1 else model


def in_color(model: keras.Model) -> keras.Model:
    """Make the RGB equivalent of a model of gray images; a model of RGB images is unchanged."""
    return color_model(model) if takes_gray(model) else model
