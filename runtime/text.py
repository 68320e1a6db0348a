"""Format text for messages; make untrusted names (files, classes, hosts) safe for terminals, pages, CSV and sockets."""

import sys
from collections.abc import Iterable, Sequence

_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control and format characters, lone surrogates, line and paragraph separators."""
_JOINERS = "\u200c\u200d"
"""Format characters that Persian words and many emoji need; they change only the letters beside them."""
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BLANKS = str.maketrans("\n\r\t", "   ")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters, ASCII and full-width, that make a spreadsheet evaluate a cell as a formula."""


LISTED = 10
"""The most names that a message lists."""


def first_of(names: Sequence[str]) -> str:
    """List the first ``LISTED`` names, separated by commas, and the number of the others."""
    more = len(names) - LISTED
    return ", ".join(map(for_terminal, names[:LISTED])) + (f" and {more:,} more" if more > 0 else "")


def only_in_case(unknown: Sequence[str], known: Iterable[str], remedy: str) -> str:
    """Name those of the unknown names that differ from a known one only in case, as the end of a sentence.

    Args:
        unknown: the names that were given.
        known: the names that were expected.
        remedy: what to do.

    Returns:
        ``; ant, bee differ only in case from classes of the model: `` and the remedy; empty if there are none.
    """
    folded = {name.casefold() for name in known}
    alike = [name for name in unknown if name.casefold() in folded]
    if not alike:
        return ""
    verb = "differs" if len(alike) == 1 else "differ"
    return f"; {first_of(alike)} {verb} only in case from classes of the model: {remedy}"


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: "1 image", "1,200 images", "2 classes"."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def columns(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Format rows of cells, equally many each, as lines of columns that are two spaces apart.

    Args:
        rows: the cells.
        align: ``l`` or ``r`` for each column; the last letter also applies to all further columns.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    letters = align.ljust(len(widths), align[-1])[: len(widths)]
    return [
        "  ".join(
            cell.ljust(width) if letter == "l" else cell.rjust(width)
            for cell, width, letter in zip(row, widths, letters, strict=True)
        ).rstrip()
        for row in rows
    ]


def is_plain(text: str) -> bool:
    """Return whether ``text`` has no character that moves the cursor, changes the reading direction or ends a line."""
    return for_terminal(text) == text


def for_terminal(text: str) -> str:
    """Put ``text`` on one line; each control character is replaced by a backslash escape."""
    if text.isprintable():
        return text
    from unicodedata import category  # rarely needed; keeps start-up fast

    return "".join(
        _escape(letter) if category(letter) in _ACTIVE and letter not in _JOINERS else letter for letter in text
    )


def first_bytes(head: bytes) -> str:
    """Describe up to 16 first bytes of a file: "the text 'I am text…'", or for others "the bytes 00 ff"."""
    shown, is_cut = head[:16], len(head) > 16
    if shown.isascii() and (text := shown.decode().translate(_BLANKS)).isprintable():
        return f"the text '{text}{'…' * is_cut}'"
    return f"the bytes {shown.hex(' ')}"


def say(text: str) -> None:
    """Print one line on stderr, safe for a terminal."""
    print(for_terminal(text), file=sys.stderr)


def for_page(text: str) -> str:
    """Apply ``for_terminal`` to each line; keep the line breaks."""
    return "\n".join(map(for_terminal, text.split("\n")))


def is_host(name: str) -> bool:
    """Return whether ``name`` can be looked up as a host name: sockets raise ``UnicodeError`` for ``cam..local``."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return name.isprintable() and " " not in name and bool(name)


def for_csv(text: str) -> str:
    """Make ``text`` a one-line CSV cell; an apostrophe keeps spreadsheets from evaluating it as a formula."""
    line = for_terminal(text)
    return f"'{line}" if len(line) > 1 and line.startswith(_FORMULA) else line


def _escape(letter: str) -> str:
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
