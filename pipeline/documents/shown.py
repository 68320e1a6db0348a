"""Documents that a notebook shows as a table."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipeline.text import for_markdown


@dataclass(frozen=True)
class Shown:
    """A table and what is said of it.

    Attributes:
        heading: above it.
        header: a text a column; the first holds words, and stands left.
        rows: as many texts each.
        notes: sentences below it.
    """

    heading: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As Markdown."""
        lines = [self.header, ("---", *("---:",) * (len(self.header) - 1))]
        cells = [*lines, *(tuple(map(for_markdown, row)) for row in self.rows)]
        table = "\n".join(f"| {' | '.join(row)} |" for row in cells)
        return "\n\n".join([for_markdown(self.heading), table, *map(for_markdown, self.notes)]) + "\n"

    def html(self) -> str:
        """As HTML."""

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
    """Gives a notebook what ``shown`` says, as HTML and as Markdown."""

    @abstractmethod
    def shown(self) -> Shown:
        """The table."""

    def _repr_html_(self) -> str:
        return self.shown().html()

    def _repr_markdown_(self) -> str:
        return self.shown().markdown()
