"""Names from files and folders as text in Markdown and in figures; ``runtime.text`` has terminals and CSV."""

import re

from runtime.text import for_terminal

_INLINE = re.compile(r"[\\`*\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
_BLOCK = re.compile(r"[#+=>-](?= |$)|[#=-]{2,}|\d+[.)](?= |$)")
"""What makes a heading, a rule or an item of a list where a line begins with it."""


def for_markdown(text: str) -> str:
    """``text`` on one line of Markdown as GitHub reads it: no link, image, emphasis, formula, HTML or cell begins."""
    line = " ".join(for_terminal(text).split())
    block = _BLOCK.match(line)
    line = "".join(_ENTITIES.get(letter, letter) for letter in line)
    line = _INLINE.sub(r"\\\g<0>", line).replace("://", "&#58;//").replace("www.", "www&#46;")
    return f"&#{ord(line[0])};{line[1:]}" if block else line


def code(text: str) -> str:
    """``text`` as a code span of Markdown, in which nothing is alive."""
    line = for_terminal(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if line.startswith("`") or line.endswith("`") else f"{fence}{line}{fence}"


def for_figure(text: str) -> str:
    """``text`` for Matplotlib on one line: a dollar sign begins no formula."""
    return for_terminal(text).replace("$", r"\$")
