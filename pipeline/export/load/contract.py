"""The input contract in words: how pixels are fed to the model.

It is printed beside every PASS, because parity with Keras cannot detect a wrong contract: Keras is fed the same pixels.
"""

from collections.abc import Collection

from pipeline.data.photo_settings import COLORS
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import AS_THEY_ARE, PRESETS, UNIT_SCALING, PixelScaling
from runtime.spec import NO_ANTIALIAS, ModelSpec

RANGES = {
    AS_THEY_ARE: "0 to 255",
    UNIT_SCALING: "0 to 1",
    PRESETS["tf"]: "-1 to 1",
    PRESETS["torch"]: "by ImageNet's mean and deviation",
    PixelScaling(PRESETS["caffe"].scale, PRESETS["caffe"].offset): "0 to 255 less ImageNet's mean",
}
SHAPES = {"stretch": "stretched", "crop": "center cropped", "pad": "letterboxed"}


def describe_contract(
    deployable: Deployable, spec: ModelSpec, asked: Collection[str] = (), *, trained_here: bool = False
) -> str:
    """Return the input contract in one line, without a final period.

    Args:
        deployable: the classifier; its scaling gives the value range and the order of the channels.
        spec: how photos become pixels.
        asked: the entries of ``pipeline.documents.manifest.CONTRACT_PARTS`` that the user stated.
        trained_here: whether the model's history records the preprocessing of its training.
    """
    if "range" in asked:
        why = "asked"
    elif deployable.front.scales and deployable.scaling.scale == AS_THEY_ARE.scale:
        why = "the model scales them itself"
    elif trained_here:
        why = "as trained"
    else:
        why = "assumed" if not deployable.front.scales else "the model normalizes these"
    shape = SHAPES[spec.resize] + (f" on {COLORS.get(spec.fill) or spec.fill}" if spec.resize == "pad" else "")
    sampled = "bilinear without" if spec.resize_filter == NO_ANTIALIAS else f"{spec.resize_filter} with"
    turned = "as stored, whatever EXIF says" if spec.ignore_orientation else "upright by EXIF"
    order = "BGR" if deployable.scaling.bgr else "RGB"
    return f"{order} {value_range(deployable.scaling)} ({why}), {shape}, {sampled} antialiasing, {turned}"


def value_range(scaling: PixelScaling) -> str:
    """Return the values into which a scaling turns pixels 0-255, in words."""
    plain = PixelScaling(scaling.scale, scaling.offset)
    return RANGES.get(plain) or f"pixel * {_numbers(scaling.scale)} + {_numbers(scaling.offset)}"


def _numbers(values: tuple[float, float, float]) -> str:
    return f"{values[0]:.6g}" if len(set(values)) == 1 else f"({', '.join(f'{value:.6g}' for value in values)})"
