"""Show documents as tables in notebooks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipeline.text import for_markdown


@dataclass(frozen=True)
class Shown:
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

    def markdown(self) -> str:
        """Format as Markdown."""
        lines = [self.header, ("---", *("---:",) * (len(self.header) - 1))]
        cells = [*lines, *(tuple(map(for_markdown, row)) for row in self.rows)]
        table = "\n".join(f"| {' | '.join(row)} |" for row in cells)
        return "\n\n".join([for_markdown(self.heading), table, *map(for_markdown, self.notes)]) + "\n"

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


class ShowsItself(ABC):
    """Makes notebooks display the result of ``shown`` as HTML or Markdown."""

    @abstractmethod
    def shown(self) -> Shown:
        """Return the table."""

    def _repr_html_(self) -> str:
        return self.shown().html()

    def _repr_markdown_(self) -> str:
        return self.shown().markdown()
