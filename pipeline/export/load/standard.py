"""The one shape in which classifiers are exported, and how those that people have become it.

Whatever a model computes in and however its answer is written, the exported files take RGB pixels and answer with one
probability a class. So a loaded model becomes an equal one: float32, three channels in, softmax or logits of two
classes or more out.
"""

import keras

from pipeline.errors import ExportError
from pipeline.export.load.dtype import computes_in, in_dtype
from pipeline.export.load.grey import color_model, takes_grey
from pipeline.export.load.head import two_class_model

LISTED = 10


def chosen_output(model: keras.Model, name: str | None) -> keras.Model:
    """The model with one output, the one that ``name`` means where there are several.

    Raises:
        ExportError: there are several and none is named, or none has that name.
    """
    names = [output_name(model, place) for place in range(len(model.outputs))]
    listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    if name is not None:
        if name not in names:
            raise ExportError(f"the model has no output {name!r}; it has {listed}: give one of these to --output")
        return keras.Model(model.inputs, model.outputs[names.index(name)]) if len(names) > 1 else model
    if len(names) > 1:
        raise ExportError(f"the model has {len(names)} outputs ({listed}); say which names the class: --output NAME")
    return model


def output_name(model: keras.Model, place: int) -> str:
    """What Keras calls an output: its layer."""
    names = getattr(model, "output_names", None)
    return str(names[place]) if names else str(model.outputs[place].name)


def standard_model(model: keras.Model) -> keras.Model:
    """An equal model in float32 that takes RGB and answers with two classes or more.

    Args:
        model: one float image (N, H, W, 1 or 3) in, one vector (N, C) out.

    Raises:
        ExportError: it ends in an activation whose outputs are neither probabilities nor logits.
    """
    if not computes_in(model, "float32"):
        model = in_dtype(model, "float32")
    if model.output_shape[-1] == 1:
        model = two_class_model(model)
    return color_model(model) if takes_grey(model) else model
