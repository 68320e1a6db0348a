"""How every chart looks: Matplotlib draws it, the page's style sheet colours it, in light and in dark."""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

WIDTH = 4.2
"""Inches: at 72 units an inch fewer than a telephone is wide, so that text is not smaller there than it is here."""
MARGIN = 0.12
"""Inches at either side of the axes, for the ends of the scale's numbers."""
BAR, THICK = 0.24, 0.26
"""Where a row's marks stand, below its name, and how thick bars are, in rows."""
NAME_SIZE, DETAIL_SIZE = 9.5, 8.5
WIDEST_FONT = FontProperties("DejaVu Sans")
"""No browser's own font is wider, so what has room in it has room everywhere."""
INK, FAINT, LINE, PAPER = "#1c2128", "#6a737d", "#d5dae0", "#fefefe"
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, GREY = (
    "#0072b2", "#d55e00", "#009e73", "#b8608f", "#e69f00", "#56b4e9", "#7d858e",
)  # fmt: skip
"""After Okabe and Ito (2008), which the colour-blind tell apart."""
ROLES = {
    INK: "ink", FAINT: "faint", LINE: "line", PAPER: "paper",
    BLUE: "blue", ORANGE: "orange", GREEN: "green", PURPLE: "purple", AMBER: "amber", SKY: "sky", GREY: "grey",
}  # fmt: skip
ENGINES = {
    "onnxruntime": (BLUE, "o"), "litert": (ORANGE, "s"), "openvino": (GREEN, "D"), "ncnn": (PURPLE, "^"),
    "onnxruntime-web": (SKY, "v"), "tensorflow": (AMBER, "p"), "keras-compiled": (INK, "h"),
}  # fmt: skip
"""Colour, and shape where a mark has no name beside it. Others are grey crosses, uncompiled Keras too."""
FORMATS = {"onnx": BLUE, "tflite": ORANGE, "ncnn": PURPLE}
DASHES = {"int8": "-", "fp32": (0, (5, 2)), "fp16": (0, (1, 1.5)), "dynamic": (0, (5, 1.5, 1, 1.5))}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 9,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
}
NAMESPACE = "http://www.w3.org/2000/svg"
TEXT = f"{{{NAMESPACE}}}text"
GAP = "\N{EN SPACE}"
"""Between a row's name and its detail, which is fainter."""
LINK = "{http://www.w3.org/1999/xlink}href"


def picture(name: str, alt: str, draw: Callable[..., Figure], *data: Any) -> Markup:
    """Draw a chart as an SVG element for a page.

    Args:
        name: begins every ``id`` in it, so that several charts share a page.
        alt: what it shows, for those who hear the page.
        draw: makes the figure.
        *data: what ``draw`` takes.
    """
    stream = io.StringIO()
    nobody = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}):
        draw(*data).savefig(stream, format="svg", metadata=nobody)
    root = ET.fromstring(stream.getvalue())  # noqa: S314 - our own drawing
    for tag in ("metadata", "defs"):  # those at the top: the drawer's name, and a style for the whole page
        for element in root.findall(f"{{{NAMESPACE}}}{tag}"):
            if tag == "metadata" or element.find(f"{{{NAMESPACE}}}style") is not None:
                root.remove(element)
    for element in root.iter():
        _adapt(element, name)
    for size in ("width", "height"):
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-label", alt)
    ET.register_namespace("", NAMESPACE)
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=True))  # noqa: S704 - escaped by the writer


def _adapt(element: ET.Element, name: str) -> None:
    """Give an element an ``id`` of its own and colours that the page decides."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.get('id')}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))
    if LINK in element.attrib:
        element.set("href", f"#{name}-{element.attrib.pop(LINK).removeprefix('#')}")
    if "style" in element.attrib:
        style = re.sub(r"#[0-9a-f]{6}", lambda match: _role(match[0]), element.attrib["style"])
        element.set("style", style)
    if element.tag == TEXT and GAP in (element.text or ""):
        element.text, gap, detail = str(element.text).partition(GAP)
        faint = f"fill: var(--{ROLES[FAINT]}); font-size: {DETAIL_SIZE}px"
        ET.SubElement(element, f"{{{NAMESPACE}}}tspan", {"style": faint}).text = gap + detail


def _role(colour: str) -> str:
    return f"var(--{ROLES[colour]})" if colour in ROLES else colour


def engine_colour(backend: str) -> str:
    """The colour of an engine."""
    return ENGINES.get(backend, (GREY, "X"))[0]


def engine_marker(backend: str) -> str:
    """The shape of an engine."""
    return ENGINES.get(backend, (GREY, "X"))[1]


def file_style(name: str) -> dict[str, Any]:
    """Colour and dashes of a model file: its format and its precision."""
    precision = next((precision for precision in DASHES if precision in name), "fp32")
    return {"color": FORMATS.get(name.rpartition(".")[2], GREY), "linestyle": DASHES[precision]}


def rows(
    count: int, *, panels: int = 1, inch: float = 0.42, top: float = 0.02, label: float = 0
) -> tuple[Figure, list[Axes]]:
    """A figure of so many rows, the first on top; ``label`` is the room for names left of the axes, in inches."""
    bottom = 0.42
    height = top + bottom + inch * count
    figure = Figure(figsize=(WIDTH, height))
    gap = 0.3
    left = MARGIN + label
    width = (WIDTH - left - MARGIN - gap * (panels - 1)) / panels
    axes = [
        figure.add_axes(((left + panel * (width + gap)) / WIDTH, bottom / height, width / WIDTH, inch * count / height))
        for panel in range(panels)
    ]
    for panel in axes:
        panel.set_ylim(count - 0.5, -0.5)
        panel.set_yticks([])
        panel.grid(axis="x")
        panel.spines[["left", "bottom"]].set_visible(False)
    return figure, axes


def legend_inches(entries: int, columns: int = 2) -> float:
    """The height that a legend above the axes needs."""
    return 0.1 + 0.19 * -(-entries // columns)


def placed(figure: Figure, bottom: float, height: float, **arguments: Any) -> Axes:
    """Axes that begin so many inches from the figure's foot and are so many high, with room for numbers at the left."""
    inches = figure.get_figheight()
    return figure.add_axes((0.115, bottom / inches, 0.865, height / inches), **arguments)


def name_row(axes: Axes, row: int, name: str, detail: str = "", value: str = "") -> None:
    """Write above a row's marks its name, what tells it from its neighbours, and at the right its number."""
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "baseline", "fontsize": NAME_SIZE}
    room = 72 * (WIDTH - 2 * MARGIN) - _units(f"{GAP}{value}", NAME_SIZE)
    name = _fitted(name, NAME_SIZE, max(0.45 * room, room - _units(GAP + detail, DETAIL_SIZE)))
    detail = _fitted(detail, DETAIL_SIZE, room - _units(name + GAP, NAME_SIZE))
    axes.text(0, row - 0.02, f"{name}{GAP}{detail}" if detail else name, gid=f"name-{row}", **place)
    axes.text(1, row - 0.02, value, gid=f"value-{row}", ha="right", fontweight="bold", **place)


def name_beside(axes: Axes, row: int, name: str, inches: float) -> None:
    """Write a row's name left of the axes, in so much room."""
    text = _fitted(name, NAME_SIZE, 72 * inches)
    axes.text(-0.02, row, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=NAME_SIZE)


def cut(axes: Axes, row: int) -> None:
    """Break a row's bar near the edge, beyond which it goes on."""
    place = axes.get_yaxis_transform()
    for across in (0.955, 0.97):
        axes.plot(
            [across - 0.008, across + 0.008], [row + BAR + 0.22, row + BAR - 0.22], color=PAPER, linewidth=2,
            transform=place, solid_capstyle="butt",
        )  # fmt: skip


def _fitted(text: str, size: float, room: float) -> str:
    """A text, its end cut where it is wider than the room, in units."""
    short = text
    while short and _units(short, size) > room:
        short = short.removesuffix("…")[:-1].rstrip() + "…" if len(short) > 1 else ""
    return short


def _units(text: str, size: float) -> float:
    return float(TextPath((0, 0), text, size=size, prop=WIDEST_FONT).get_extents().width) if text.strip() else 0.0


def shorten(text: str, most: int = 23) -> str:
    """A name, its end cut where it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
