"""Draw a network's feature maps, probabilities and heat map for one image, as PNG of 1920x1080."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.explain.explanation import Explanation, draw_heat, explain_answer
from pipeline.explain.stages import TIMES, Stage, stages
from pipeline.export.load.deployable import Deployable
from pipeline.text import for_figure
from runtime.image.load import ImageSource, load_pixels
from runtime.spec import ModelSpec

WIDTH, HEIGHT = 1920, 1080
PAPER, INK, FAINT, ACCENT, BAR = "#ffffff", "#16202a", "#66727f", "#d9482b", "#9db4c9"
COLORMAP = "inferno"

MARGIN, GAP, COLUMN, BARS_WIDTH = 70, 76, 36, 440
"""In pixels: margin left and right, gap between stages, width of a vector, width of the class probabilities."""

MIDDLE, LABEL_TOP, TILES_TOP = 405, 650, 790
"""In pixels from the top: the line on which stages are centered, their labels, the strongest maps."""

INPUT_SIZE, MAX_GROWTH = 300, 1.15
SIZE_POWER = 0.6
"""The drawn size is proportional to side ** SIZE_POWER: with 1, the 4x4 maps of a 32x32 image would be too small."""

RISE = 0.7
"""A stack of maps rises by this share of its depth, at most by this share of a map's height, so that the middle line,
on which the arrows are, meets its first and its last map."""

SHOWN_MAPS, TILE_GAP, TILES_WIDTH = 9, 6, 235
BARS, BAR_STEP, BAR_LENGTH = 10, 48, 150
NAME_WIDTH, NAME_LETTERS = 205, 16


@dataclass(frozen=True)
class _Stack:
    """The place of a stack of maps in pixels: left edge, size of a map, shift of the last map to the right."""

    left: float
    width: float
    height: float
    depth: float

    @property
    def right(self) -> float:
        return self.left + self.width + self.depth

    @property
    def rise(self) -> float:
        return RISE * min(self.depth, self.height)


def explain(
    deployable: Deployable, image: ImageSource, out: Path, spec: ModelSpec | None = None, *, heat_only: bool = False
) -> Explanation:
    """Draw a network's stages, probabilities and heat map for one image, as PNG.

    Args:
        deployable: the network; its layers must not be nested in another model, see ``stages``.
        image: anything that ``load_pixels`` takes.
        out: the PNG to write.
        spec: the preprocessing of the image; by default it is stretched.
        heat_only: draw only the image and the heat map; layers may then be nested.

    Returns:
        The answer and its reasons.

    Raises:
        ImageError: the image cannot be read.
        ExplainError: the network has no feature maps to show; not with ``heat_only``.
    """
    spec = spec or ModelSpec(deployable.side, deployable.class_names, width=deployable.width)
    pixels = load_pixels(image, spec)
    if heat_only:
        found = explain_answer(deployable, pixels)
        draw_heat(found, out)
        return found
    shown = stages(deployable, pixels)
    found = explain_answer(deployable, pixels)
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.axis("off")
    _draw(axes, deployable, shown, found)
    with artifacts.atomic_path(out) as temporary:
        figure.savefig(temporary, format="png", dpi=100, facecolor=PAPER)
    return found


def _draw(axes: Any, deployable: Deployable, shown: list[Stage], found: Explanation) -> None:
    pixels, probabilities = found.pixels, found.probabilities
    _title(axes, deployable, probabilities)
    maps = [stage for stage in shown if stage.values.ndim == 3]
    vectors = [stage for stage in shown if stage.values.ndim == 1]
    image, *stacks = _arrange(deployable.size, maps, len(vectors))
    _put(axes, pixels, _Frame(image.left, MIDDLE - image.height / 2, image.width, image.height))
    _label(axes, image, TIMES.join(map(str, pixels.shape)), ("image",))
    note = f"the {SHOWN_MAPS} strongest\nmaps, bright\nwhere they\nrespond"
    axes.text(image.left, TILES_TOP, note, fontsize=15, color=FAINT, va="top", linespacing=1.4)
    left = image.right
    for stack, stage in zip(stacks, maps, strict=True):
        _draw_stack(axes, stack, stage)
        _arrow(axes, left, stack.left)
        _label(axes, stack, stage.shape, stage.steps)
        _draw_tiles(axes, stack, stage)
        left = stack.right
    for stage in vectors:
        column = _Stack(left + GAP, COLUMN, COLUMN, 0)
        _draw_vector(axes, column, stage)
        _arrow(axes, left, column.left)
        _label(axes, column, stage.shape, stage.steps)
        left = column.right
    _arrow(axes, left, left + GAP)
    _draw_bars(axes, left + GAP, deployable.class_names, probabilities)
    _draw_heat(axes, left + GAP, found)


def answer(deployable: Deployable, probabilities: NDArray[np.float32]) -> str:
    """Format the most probable class, or all labels over their thresholds; probabilities are float32 (C,)."""
    order = np.argsort(-probabilities, kind="stable")
    named = order[:1]
    if deployable.multi_label:
        reached = probabilities >= np.array(deployable.label_thresholds, np.float32)
        named = order[reached[order]][:BARS]
    listed = (f"{deployable.class_names[label]}, {probabilities[label]:.0%}" for label in named)
    return ", ".join(listed) or "no label"


def _title(axes: Any, deployable: Deployable, probabilities: NDArray[np.float32]) -> None:
    axes.text(
        MARGIN,
        66,
        for_figure(answer(deployable, probabilities)),
        fontsize=34,
        fontweight="bold",
        color=ACCENT,
        va="center",
    )
    size = f"{deployable.model.count_params():,} parameters"
    axes.text(WIDTH - MARGIN, 66, size, fontsize=19, color=FAINT, va="center", ha="right")


def _arrange(size: tuple[int, int], maps: list[Stage], vector_count: int) -> list[_Stack]:
    """Place the input and every stack of maps from left to right, in the width that vectors and bars leave."""
    shapes = [size, *(stage.values.shape[:2] for stage in maps)]
    longest = [INPUT_SIZE * (max(shape) / max(size)) ** SIZE_POWER for shape in shapes]
    widths = [extent * shape[1] / max(shape) for extent, shape in zip(longest, shapes, strict=True)]
    heights = [extent * shape[0] / max(shape) for extent, shape in zip(longest, shapes, strict=True)]
    depths = [0.0, *(24 * stage.values.shape[2] ** 0.5 for stage in maps)]
    room = WIDTH - 2 * MARGIN - BARS_WIDTH - (GAP + COLUMN) * vector_count - GAP
    scale = min(MAX_GROWTH, (room - GAP * len(maps)) / (sum(widths) + sum(depths)))
    left, stacks = float(MARGIN), []
    for width, height, depth in zip(widths, heights, depths, strict=True):
        stacks.append(_Stack(left, width * scale, height * scale, depth * scale))
        left = stacks[-1].right + GAP
    return stacks


def _brightness(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale activations to 0-1, with the same scale for all maps of a stage, so that strong maps look strong."""
    low, high = min(float(values.min()), 0.0), float(np.percentile(values, 99.5))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _by_strength(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the channel indices of maps (H, W, C), the largest mean absolute activation first."""
    return np.argsort(-np.abs(values).mean(axis=(0, 1)), kind="stable")


@dataclass(frozen=True)
class _Frame:
    """The place of one picture in pixels; ``edge`` is the width of its border, ``order`` its z-order."""

    left: float
    top: float
    width: float
    height: float
    edge: float = 1.0
    order: float = 2.0


def _put(axes: Any, picture: NDArray[Any], place: _Frame) -> None:
    left, top, width, height = place.left, place.top, place.width, place.height
    axes.imshow(
        picture, extent=(left, left + width, top + height, top), cmap=COLORMAP, vmin=0, vmax=1,
        interpolation="nearest", zorder=place.order, aspect="auto",
    )  # fmt: skip
    frame = Rectangle((left, top), width, height, fill=False, edgecolor=PAPER, linewidth=place.edge)
    frame.set_zorder(place.order + 0.001)
    axes.add_patch(frame)


def _draw_stack(axes: Any, stack: _Stack, stage: Stage) -> None:
    """Draw all maps of a stage one behind the other, the strongest in front."""
    brightness = _brightness(stage.values)
    order = _by_strength(stage.values)
    steps = max(len(order) - 1, 1)
    edge = min(1.0, 0.16 * stack.depth / steps)
    top = MIDDLE - stack.height / 2 + stack.rise / 2
    for position, channel in enumerate(order):
        back = position / steps
        left, upper = stack.left + stack.depth * back, top - stack.rise * back
        _put(axes, brightness[:, :, channel], _Frame(left, upper, stack.width, stack.height, edge, 3 - 0.9 * back))


def _draw_tiles(axes: Any, stack: _Stack, stage: Stage) -> None:
    """Draw the strongest maps again, side by side, below their stack."""
    brightness = _brightness(stage.values)
    columns = int(np.ceil(SHOWN_MAPS**0.5))
    width = min(stack.right - stack.left, TILES_WIDTH)
    size = (width - TILE_GAP * (columns - 1)) / columns
    across, down = (size * extent / max(stack.width, stack.height) for extent in (stack.width, stack.height))
    for position, channel in enumerate(_by_strength(stage.values)[:SHOWN_MAPS]):
        row, column = divmod(position, columns)
        left, top = stack.left + column * (across + TILE_GAP), TILES_TOP + row * (down + TILE_GAP)
        _put(axes, brightness[:, :, channel], _Frame(left, top, across, down))


def _draw_vector(axes: Any, column: _Stack, stage: Stage) -> None:
    """Draw a vector as a tall column of cells."""
    cells = _brightness(stage.values)
    across = max(1, round((len(cells) * column.width / 420) ** 0.5))
    rows = int(np.ceil(len(cells) / across))
    grid = np.zeros(rows * across, np.float32)
    grid[: len(cells)] = cells
    axes.imshow(
        grid.reshape(rows, across), extent=(column.left, column.right, MIDDLE + 210, MIDDLE - 210), cmap=COLORMAP,
        vmin=0, vmax=1, interpolation="nearest", aspect="auto", zorder=2,
    )  # fmt: skip


def _label(axes: Any, stack: _Stack, shape: str, steps: tuple[str, ...]) -> None:
    center = (stack.left + stack.right) / 2
    axes.text(center, LABEL_TOP, shape, fontsize=21, fontweight="bold", color=INK, ha="center", va="top")
    axes.text(
        center, LABEL_TOP + 38, "\n".join(steps), fontsize=14, color=FAINT, ha="center", va="top", linespacing=1.3
    )


def _arrow(axes: Any, start: float, end: float) -> None:
    ends = ((start + 12, MIDDLE), (end - 12, MIDDLE))
    axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=22, color=FAINT, linewidth=2))


def _draw_bars(axes: Any, left: float, class_names: tuple[str, ...], probabilities: NDArray[np.float32]) -> None:
    """Draw bars of the most probable classes, the highest first."""
    order = np.argsort(-probabilities, kind="stable")[:BARS]
    top = MIDDLE - BAR_STEP * len(order) / 2
    for position, label in enumerate(order):
        y = top + BAR_STEP * (position + 0.5)
        first = position == 0
        color, weight = (INK, "bold") if first else (FAINT, "normal")
        axes.text(
            left, y, _shortened(class_names[label]), fontsize=19, fontweight=weight, color=color, va="center"
        )  # fmt: skip
        length = max(BAR_LENGTH * float(probabilities[label]), 2)
        axes.add_patch(
            Rectangle((left + NAME_WIDTH + 13, y - 14), length, 28, color=ACCENT if first else BAR, linewidth=0)
        )
        axes.text(
            left + NAME_WIDTH + 21 + length, y, f"{probabilities[label]:.1%}", fontsize=16, va="center", color=INK
        )


def _draw_heat(axes: Any, left: float, found: Explanation) -> None:
    """Draw the heat map below the classes."""
    picture = found.heat_picture(TILES_WIDTH)
    _put(axes, np.asarray(picture), _Frame(left, TILES_TOP, picture.width, picture.height))
    note = f"where it looked:\nthe brighter, the more\nit contributes to\n{_shortened(found.answer)}"
    axes.text(left + TILES_WIDTH + 20, TILES_TOP, note, fontsize=15, color=FAINT, va="top", linespacing=1.4)


def _shortened(name: str) -> str:
    return for_figure(name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…")
