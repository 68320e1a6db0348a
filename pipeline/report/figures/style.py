"""The common style of all charts: Matplotlib draws them, the page's style sheet sets light and dark colors."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.formats import precision_of
from runtime.engines.registry import OWN, default_engine, find

WIDTH = 4.2
"""Inches. At 72 units per inch this is less than the width of a phone, so that charts need not shrink there."""
DETAIL_SIZE = 8.5
INK, FAINT, LINE, PAPER = "#1c2128", "#6a737d", "#d5dae0", "#fefefe"
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, GRAY = (
    "#0072b2", "#d55e00", "#009e73", "#b8608f", "#e69f00", "#56b4e9", "#7d858e",
)  # fmt: skip
"""Colors after Okabe and Ito (2008), distinguishable for color-blind readers."""
ROLES = {
    INK: "ink", FAINT: "faint", LINE: "line", PAPER: "paper",
    BLUE: "blue", ORANGE: "orange", GREEN: "green", PURPLE: "purple", AMBER: "amber", SKY: "sky", GRAY: "gray",
}  # fmt: skip
DESK_ENGINES = {"onnxruntime-web": (SKY, "v"), "tensorflow": (AMBER, "p"), "keras-compiled": (INK, "h")}
"""Engine -> color and marker. The runtime's engines state their own; unknown engines get a gray cross."""
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
"""Separates a row's name from its detail, which is drawn fainter."""
LINK = "{http://www.w3.org/1999/xlink}href"


def picture(name: str, alt: str, draw: Callable[..., Figure], *data: Any) -> Markup:
    """Draw a chart as an SVG element for a page.

    Args:
        name: prefix of every ``id`` in the SVG, so that several charts can be on one page.
        alt: description of the chart for screen readers.
        draw: makes the figure.
        *data: arguments of ``draw``.
    """
    stream = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}):
        draw(*data).savefig(stream, format="svg", metadata=no_metadata)
    root = ET.fromstring(stream.getvalue())  # noqa: S314 - our own drawing
    for tag in ("metadata", "defs"):  # at the top: Matplotlib's name, and a style that would apply to the whole page
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
    """Prefix an element's ``id`` and references with ``name``, and replace its colors by CSS variables."""
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


def _role(color: str) -> str:
    return f"var(--{ROLES[color]})" if color in ROLES else color


def engine_color(backend: str) -> str:
    """Return the color of an engine."""
    return find(backend).color if backend in OWN else DESK_ENGINES.get(backend, (GRAY, "X"))[0]


def engine_marker(backend: str) -> str:
    """Return the Matplotlib marker of an engine."""
    return find(backend).marker if backend in OWN else DESK_ENGINES.get(backend, (GRAY, "X"))[1]


def file_style(name: str) -> dict[str, Any]:
    """Return a model file's line color (by its format) and line style (by its precision)."""
    engine = default_engine(Path(name).suffix)
    return {"color": engine_color(engine) if engine else GRAY, "linestyle": precision_of(name).dashes}


def legend_inches(entries: int) -> float:
    """Return the height in inches of a legend of two columns above the axes."""
    return 0.1 + 0.19 * -(-entries // 2)


def placed(figure: Figure, bottom: float, height: float, **arguments: Any) -> Axes:
    """Add axes with a bottom margin and a height in inches, and space for numbers at the left."""
    inches = figure.get_figheight()
    return figure.add_axes((0.115, bottom / inches, 0.865, height / inches), **arguments)


def shorten(text: str, most: int) -> str:
    """Shorten a text to at most ``most`` characters by cutting its end."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
