"""Make names from files and folders safe to print: on terminals, on pages, in CSV and as hosts."""

import sys
from collections.abc import Sequence

_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, lone surrogates, line and paragraph separators."""
_JOINERS = "\u200c\u200d"
"""Format characters that Persian words and many emoji need, and that act on nothing else."""
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The first characters of cells that spreadsheets compute, in Latin and in full-width letters."""


LISTED = 10


def first_of(names: Sequence[str]) -> str:
    """The first names of a list for a message, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(map(for_terminal, names[:LISTED])) + (f" and {more:,} more" if more > 0 else "")


def is_plain(text: str) -> bool:
    """Whether no character of ``text`` moves a cursor, turns the direction of reading or ends a line."""
    return for_terminal(text) == text


def for_terminal(text: str) -> str:
    """``text`` on one line; each character that a terminal would obey is written as a backslash escape."""
    if text.isprintable():
        return text
    from unicodedata import category  # seldom needed, so not at start-up

    return "".join(
        _escape(letter) if category(letter) in _ACTIVE and letter not in _JOINERS else letter for letter in text
    )


def say(text: str) -> None:
    """Print one line on stderr, safe for a terminal."""
    print(for_terminal(text), file=sys.stderr)


def for_page(text: str) -> str:
    """``for_terminal`` for a text of several lines, which stay."""
    return "\n".join(map(for_terminal, text.split("\n")))


def is_host(name: str) -> bool:
    """Whether ``name`` can be asked for: sockets raise a ``UnicodeError`` for ``cam..local``."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return name.isprintable() and " " not in name and bool(name)


def for_csv(text: str) -> str:
    """``text`` as a cell on one line; an apostrophe goes before what a spreadsheet would take for a formula."""
    line = for_terminal(text)
    return f"'{line}" if len(line) > 1 and line.startswith(_FORMULA) else line


def _escape(letter: str) -> str:
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
