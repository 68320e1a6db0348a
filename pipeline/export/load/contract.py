"""The input contract in words. It stands beside every PASS, because Keras is fed the same way and cannot tell."""

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


def fed(deployable: Deployable, spec: ModelSpec, asked: Collection[str] = (), *, trained_here: bool = False) -> str:
    """One line without an end.

    Args:
        deployable: its scaling is the range and order of its values.
        spec: how photos become pixels.
        asked: what of ``pipeline.documents.manifest.FEEDING`` a person said.
        trained_here: its history says how training fed it.
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
    """What pixels 0-255 become."""
    plain = PixelScaling(scaling.scale, scaling.offset)
    return RANGES.get(plain) or f"pixel * {_numbers(scaling.scale)} + {_numbers(scaling.offset)}"


def _numbers(values: tuple[float, float, float]) -> str:
    return f"{values[0]:.6g}" if len(set(values)) == 1 else f"({', '.join(f'{value:.6g}' for value in values)})"
