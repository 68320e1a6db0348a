"""The commands of docs/raspberry-pi.md, taken from the page itself, so that page and test cannot drift apart.

A block that begins with ```` ```sh desk ```` or ```` ```sh pi ```` is run there, in the order of the page. A plain
```` ```sh ```` block is one that no emulator can run; the line above it says why: ``<!-- not run: reason -->``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "raspberry-pi.md"
FIGURES_OF_PAGE = PAGE.with_name("raspberry-pi.json")
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+) -->\n)?^```(?P<kind>.*)\n(?P<script>(?s:.*?))^```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Commands as they stand on the page.

    Attributes:
        place: "desk" or "pi"; "" for what is not run.
        script: for sh.
        reason: why it is not run.
        line: of the page, from 1.
    """

    place: str
    script: str
    reason: str
    line: int


def blocks(text: str) -> list[Block]:
    """All blocks in their order.

    Raises:
        ValueError: a block that is neither run nor says why not, or both.
    """
    found = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("kind")) + 1
        kinds = {"sh desk": "desk", "sh pi": "pi", "sh": ""}
        if match["kind"] not in kinds:
            raise ValueError(f"line {line}: expected a block of {', '.join(kinds)}, got {match['kind']!r}")
        place, reason = kinds[match["kind"]], match["reason"] or ""
        if bool(place) == bool(reason):
            raise ValueError(f"line {line}: mark the block desk or pi, or say <!-- not run: reason --> above it")
        found.append(Block(place, match["script"], reason, line))
    return found
