"""Escape names for Markdown and for figures, and format Markdown tables; ``runtime.text`` is for terminals and CSV."""

import re
from collections.abc import Iterable, Sequence

from runtime.text import for_terminal

_INLINE = re.compile(r"[\\`*\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
_BLOCK = re.compile(r"[#+=>-](?= |$)|[#=-]{2,}|\d+[.)](?= |$)")
"""At the beginning of a line, this makes a heading, a rule or a list item."""


def for_markdown(text: str) -> str:
    """Escape a text as one line of GitHub's Markdown without links, images, emphasis, formulas, HTML or table cells."""
    line = " ".join(for_terminal(text).split())
    block = _BLOCK.match(line)
    line = "".join(_ENTITIES.get(letter, letter) for letter in line)
    line = _INLINE.sub(r"\\\g<0>", line).replace("://", "&#58;//").replace("www.", "www&#46;")
    return f"&#{ord(line[0])};{line[1:]}" if block else line


def code(text: str) -> str:
    """Format a text as a code span of Markdown, in which no markup works."""
    line = for_terminal(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if line.startswith("`") or line.endswith("`") else f"{fence}{line}{fence}"


def for_figure(text: str) -> str:
    """Escape a text as one line for Matplotlib, so that a dollar sign begins no formula."""
    return for_terminal(text).replace("$", r"\$")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "lr") -> str:
    """Format a Markdown table.

    Args:
        header: the names of the columns.
        rows: cells; a row with fewer cells than columns is filled with empty ones.
        align: ``l`` or ``r`` for each column; the last letter also applies to all further columns.
    """
    letters = align.ljust(len(header), align[-1])[: len(header)]
    rule = ["---:" if letter == "r" else "---" for letter in letters]
    filled = [[*map(_safe, row), *[""] * (len(header) - len(row))] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *filled))


def _safe(text: str) -> str:
    """Escape a cell's text, so that it ends no cell and begins no HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
