"""The data classes that the page's templates render: sections, tables, charts, cards, verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading.

    Attributes:
        header: the name of each column.
        rows: the cells; in a row with fewer cells, the last cell spans the remaining columns. A second line in a cell
            is set smaller.
        title: of the table; empty if it is the only one of its section.
        left: number of columns at the left that are aligned left; the columns after them are aligned right.
        words: number of columns at the right that are aligned left again.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str = ""
    left: int = 1
    words: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: its ``id`` on the page.
        title: heading of the chart.
        svg: the drawing.
        caption: explanation below the chart.
        alert: warning that the figures are not reliable, with the reason.
    """

    name: str
    title: str
    svg: Markup
    caption: str = ""
    alert: str = ""


@dataclass(frozen=True)
class Card:
    """An image with a title and a few lines of text.

    Attributes:
        pictures: data URIs, side by side; the first is the image itself.
        title: first line, emphasized.
        lines: further lines.
        second: description of the second picture.
    """

    pictures: tuple[str, ...]
    title: str
    lines: tuple[str, ...] = ()
    second: str = "where the network looked"


@dataclass(frozen=True)
class Gallery:
    """Cards under a heading; with ``only_pictures`` their texts are visible only to screen readers."""

    title: str
    cards: list[Card]
    only_pictures: bool = False


@dataclass(frozen=True)
class Absent:
    """The reason why something is missing, and the command that writes it, if there is one.

    ``unusable`` says that it is there, but cannot be used.
    """

    reason: str
    command: str = ""
    unusable: bool = False

    def __str__(self) -> str:
        return f"{self.reason}; {self.command} writes it" if self.command else self.reason


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        name: its ``id``.
        title: its heading.
        lead: introduction.
        charts: shown side by side.
        beside: tables shown beside the charts.
        tables: tables shown below the charts.
        galleries: galleries of images.
        missing: parts that could not be made, with the reasons.
        tables_open: whether ``tables`` are unfolded at first.
        tall: whether it is as high as two other sections, which then share the column beside it.
    """

    name: str
    title: str
    lead: str = ""
    charts: list[Chart] = field(default_factory=list)
    beside: list[Table] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    galleries: list[Gallery] = field(default_factory=list)
    missing: list[Absent] = field(default_factory=list)
    tables_open: bool = False
    tall: bool = False

    @property
    def half(self) -> bool:
        """Whether another section fits beside it: it has one chart and folded tables, or nothing but ``missing``."""
        is_empty = bool(self.missing) and not self.charts and not self.tables
        return is_empty or (len(self.charts) == 1 and not self.beside and not self.tables_open)


@dataclass(frozen=True)
class Verdict:
    """A verdict or figure at the top of the page.

    Attributes:
        name: of the check or figure.
        state: pass, fail, stale, none or figure; decides the color.
        word: the verdict or the figure.
        text: explanation.
        details: further lines, such as violations.
        caveats: sentences directly below the word: what the figure does not say.
    """

    name: str
    state: str
    word: str
    text: str
    details: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
