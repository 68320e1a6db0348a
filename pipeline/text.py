"""Escape names of files and folders for Markdown and for figures; ``runtime.text`` does so for terminals and CSV."""

import re

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
