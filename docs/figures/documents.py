"""Replace text between two marker lines of a document: ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

from pathlib import Path

from pipeline import artifacts
from pipeline.errors import PipelineError


def marked(name: str, text: str) -> str:
    """Return the text between its two marker lines, as in a document."""
    return f"<!-- {name}: begin -->\n{text}\n<!-- {name}: end -->"


def replace_marked(document: Path, name: str, text: str) -> None:
    """Replace the text between the markers of ``name``.

    Raises:
        PipelineError: the document does not have these markers.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise PipelineError(f"{document}: expected the markers {begin} and {end}; put them where the text belongs")
    artifacts.write_bytes(document, f"{before}{marked(name, text)}{after}".encode())
