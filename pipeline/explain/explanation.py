"""Explain an answer: the most probable classes, and a heat map of where in the image the network looked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pipeline import artifacts
from pipeline.export.load.deployable import Deployable
from pipeline.text import for_figure
from pipeline.verify.heat import center_share, heat_maps, overlay

NAMED = 3
WIDTH, HEIGHT, SIDE = 1280, 760, 560
MARGIN, TOP = 60, 110
PAPER, INK, ACCENT = "#ffffff", "#16202a", "#d9482b"
COARSE = 100
"""Images with a longer side below this, in pixels, are enlarged without smoothing."""


@dataclass(frozen=True)
class Explanation:
    """An answer and its heat map.

    Attributes:
        class_names: of the network.
        pixels: the preprocessed image, uint8 (H, W, 3).
        probabilities: float32 (C,).
        heat: contribution of each place to the answer, float32 (h, w); see ``pipeline.verify.heat``.
    """

    class_names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    heat: NDArray[np.float32]

    @property
    def answer(self) -> str:
        """The most probable class."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def sentence(self) -> str:
        """The most probable classes, and the share of the heat map in the middle of the picture, as a sentence."""
        order = np.argsort(-self.probabilities, kind="stable")[:NAMED]
        named = ", ".join(f"{self.class_names[label]} {self.probabilities[label]:.1%}" for label in order)
        if not self.heat.any():
            return f"{named}; no place contributes to {self.answer}"
        middle = center_share(self.heat)
        return f"{named}; {middle:.0%} of the heat map of {self.answer} lies in the middle quarter of the picture"

    def heat_picture(self, longest: int) -> Image.Image:
        """Draw the heat map in color over the gray image, whose longer side becomes ``longest`` pixels."""
        return overlay(self.enlarged(longest), self.heat)

    def enlarged(self, longest: int) -> NDArray[np.uint8]:
        """Return the image, resized to ``longest`` pixels on its longer side, uint8 (H, W, 3)."""
        height, width = self.pixels.shape[:2]
        factor = longest / max(height, width)
        resampling = Image.Resampling.NEAREST if max(height, width) < COARSE else Image.Resampling.BICUBIC
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        return np.asarray(Image.fromarray(self.pixels).resize(size, resampling))


def explain_answer(deployable: Deployable, pixels: NDArray[np.uint8]) -> Explanation:
    """Run a network on one image, uint8 (H, W, 3), and compute the heat map of its answer."""
    probabilities = deployable.probabilities(pixels[np.newaxis])[0]
    (heat,) = heat_maps(deployable, pixels[np.newaxis], probabilities.argmax(keepdims=True))
    return Explanation(deployable.class_names, pixels, probabilities, heat)


def draw_heat(found: Explanation, out: Path) -> None:
    """Write the image and, beside it, its heat map, as PNG of 1280x760."""
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    title = f"{for_figure(found.answer)}, {found.probabilities.max():.0%}"
    axes.text(MARGIN, 60, title, fontsize=26, fontweight="bold", color=ACCENT, va="center")
    for left, picture in ((MARGIN, found.enlarged(SIDE)), (WIDTH - MARGIN - SIDE, found.heat_picture(SIDE))):
        shown = np.asarray(picture)
        height, width = shown.shape[:2]
        axes.imshow(shown, extent=(left, left + width, TOP + height, TOP), aspect="auto", interpolation="nearest")
    said = for_figure(found.sentence)
    axes.text(MARGIN, TOP + SIDE + 44, said, fontsize=14, color=INK, va="center", wrap=True)
    with artifacts.atomic_path(out) as temporary:
        figure.savefig(temporary, format="png", dpi=100, facecolor=PAPER)
