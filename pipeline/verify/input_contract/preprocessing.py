"""The preprocessing with which a model may have been trained, and the command-line flags for each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.data.photo_settings import READING, flag
from pipeline.export.load.scaling import AS_THEY_ARE, PRESETS, UNIT_SCALING, PixelScaling
from runtime.spec import NO_ANTIALIAS, RESIZE_POLICIES, ModelSpec

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
RANGES: dict[str, PixelScaling] = {"--preset none": AS_THEY_ARE, "--scale 1/255": UNIT_SCALING} | {
    f"--preset {name}": PRESETS[name] for name in ("tf", "torch", "caffe")
}


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a model.

    Attributes:
        scaling: value range and channel order.
        spec: resize policy, filter, fill and orientation.
    """

    scaling: PixelScaling
    spec: ModelSpec

    def differs(self, other: "Preprocessing") -> tuple[str, ...]:
        """List the properties in which two differ, by their names in ``pipeline.documents.manifest.CONTRACT_PARTS``."""
        names = ["range"] if _plain(self.scaling) != _plain(other.scaling) else []
        names += ["bgr"] if self.scaling.bgr != other.scaling.bgr else []
        names += [name for name in READING if getattr(self.spec, name) != getattr(other.spec, name)]
        if "resize" in names and "fill" in names:  # only one of the two has a letterbox: its color is no difference
            names.remove("fill")
        return tuple(names)

    def flags(self, asked: "Preprocessing") -> str:
        """Return the options to add to a command that was called with ``asked``, to preprocess so."""
        names, said = self.differs(asked), list[str]()
        implied = asked.scaling.bgr
        if "range" in names:
            preset = next(text for text, scaling in RANGES.items() if _plain(scaling) == _plain(self.scaling))
            said, implied = [preset], RANGES[preset].bgr
        if self.scaling.bgr != implied or (asked.scaling.bgr and not self.scaling.bgr):
            said.append("--bgr" if self.scaling.bgr else "--no-bgr")
        for name in READING:
            if getattr(self.spec, name) != getattr(asked.spec, name):
                said.append(flag(name, getattr(self.spec, name)))
        return " ".join(said)

    def ranges(self) -> Iterator["Preprocessing"]:
        """Yield this preprocessing with every value range and channel order."""
        for scaling in (self.scaling, *RANGES.values()):
            for bgr in (False, True):
                yield replace(self, scaling=replace(scaling, bgr=bgr))

    def readings(self) -> Iterator["Preprocessing"]:
        """Yield this preprocessing with another resize policy, filter or orientation, one change at a time."""
        for policy in RESIZE_POLICIES:
            for fill in (BLACK, WHITE) if policy == "pad" else (self.spec.fill,):
                yield self._read(resize=policy, fill=fill)
        yield self._read(resize_filter="bilinear" if self.spec.resize_filter == NO_ANTIALIAS else NO_ANTIALIAS)
        yield self._read(ignore_orientation=not self.spec.ignore_orientation)

    def _read(self, **reading: object) -> "Preprocessing":
        return replace(self, spec=replace(self.spec, **reading))  # type: ignore[arg-type]


def _plain(scaling: PixelScaling) -> PixelScaling:
    return replace(scaling, bgr=False)
