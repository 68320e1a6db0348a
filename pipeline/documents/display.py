"""Show documents as tables, and pages, in notebooks and in Python's prompt."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.text import for_markdown, table
from runtime.text import columns

PAGE_HEIGHT = 900


@dataclass(frozen=True)
class DisplayTable:
    """A table with a heading and notes.

    Attributes:
        heading: text above the table.
        header: name of each column; the first column is aligned left, the others right.
        rows: the cells, as many as columns in each row.
        notes: sentences below the table.
    """

    heading: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Format as plain text; the first and the last column are aligned left, the others right."""
        align = f"{'l'.ljust(len(self.header) - 1, 'r')}l"
        lines = columns((self.header, *self.rows), align)
        return "\n".join([self.heading, *lines, *self.notes])

    def markdown(self) -> str:
        """Format as Markdown."""
        rows = table(self.header, (tuple(map(for_markdown, row)) for row in self.rows))
        return "\n\n".join([for_markdown(self.heading), rows, *map(for_markdown, self.notes)]) + "\n"

    def html(self) -> str:
        """Format as HTML."""

        def row(cells: Sequence[str], tag: str) -> str:
            left, right = (f'<{tag} style="text-align:{side}">' for side in ("left", "right"))
            first, *others = (escape(cell) for cell in cells)
            return f"<tr>{left}{first}</{tag}>" + "".join(f"{right}{cell}</{tag}>" for cell in others) + "</tr>"

        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        body = "".join(row(cells, "td") for cells in self.rows)
        return (
            f"<p><b>{escape(self.heading)}</b></p><table><thead>{row(self.header, 'th')}</thead>"
            f"<tbody>{body}</tbody></table>{notes}"
        )


class DisplayedAsTable(ABC):
    """A base for results that notebooks display as HTML or Markdown, and ``print`` and prompts as text."""

    @abstractmethod
    def as_table(self) -> DisplayTable:
        """Return the table."""

    def __repr__(self) -> str:
        return self.as_table().text()

    def __str__(self) -> str:
        return self.as_table().text()

    def _repr_html_(self) -> str:
        return self.as_table().html()

    def _repr_markdown_(self) -> str:
        return self.as_table().markdown()


@dataclass(frozen=True)
class Page:
    """An HTML page that a notebook shows in a frame; as text it is the path of its file.

    Attributes:
        path: its file.
        html: its content.
    """

    path: Path
    html: str

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" '
            f'style="width:100%;height:{PAGE_HEIGHT}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return str(self.path)
