"""The parts of a page: sections, tables, cards."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading.

    Attributes:
        header: a text a column.
        rows: as many texts each; in a shorter row the last one spans what is left. A second line is set smaller.
        title: what it shows, where a section has several.
        left: how many columns hold words; those after them hold numbers, which stand right.
        words: how many of the last columns hold words again.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str = ""
    left: int = 1
    words: int = 0


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Attributes:
        name: its ``id`` on the page.
        title: what it shows.
        svg: the drawing.
        caption: what a reader must know to read it.
        alert: why not to believe it.
    """

    name: str
    title: str
    svg: Markup
    caption: str = ""
    alert: str = ""


@dataclass(frozen=True)
class Card:
    """An image and what is said of it.

    Attributes:
        pictures: data URIs, side by side; the first is the image itself.
        title: the most important words.
        lines: what else there is to say.
        second: what the second picture shows.
    """

    pictures: tuple[str, ...]
    title: str
    lines: tuple[str, ...] = ()
    second: str = "where the network looked"


@dataclass(frozen=True)
class Gallery:
    """Cards under a heading; with ``only_pictures`` their words are for those who hear the page."""

    title: str
    cards: list[Card]
    only_pictures: bool = False


@dataclass(frozen=True)
class Absent:
    """What is not there, and the command that makes it."""

    reason: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.command} writes it" if self.command else self.reason


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        name: its ``id``.
        title: its heading.
        lead: what a reader must know before looking.
        charts: drawings, side by side.
        beside: tables that stand beside them.
        tables: the numbers behind them, below.
        galleries: images.
        missing: what is not there.
        tables_open: the tables are seen without opening them.
        tall: beside it is room for two others.
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
        """Whether it leaves room for another one beside it: one chart, its tables folded, or nothing but an excuse."""
        is_empty = bool(self.missing) and not self.charts and not self.tables
        return is_empty or (len(self.charts) == 1 and not self.beside and not self.tables_open)


@dataclass(frozen=True)
class Verdict:
    """A word for all to see, and why.

    Attributes:
        name: whose verdict.
        state: pass, fail, stale, none or figure; decides the color.
        word: the verdict.
        text: what it means.
        details: what was broken, a line each.
    """

    name: str
    state: str
    word: str
    text: str
    details: list[str] = field(default_factory=list)
