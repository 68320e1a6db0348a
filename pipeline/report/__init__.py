"""Write a self-contained HTML page and a Markdown table from JSON documents. Loads no model and no TensorFlow."""

import sys
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import artifacts
from pipeline.report import (
    contact_sheets,
    labels,
    latency,
    mistakes,
    out_of_fold,
    parity,
    provenance,
    selective,
    summary,
    verdicts,
)
from pipeline.report.album import open_album
from pipeline.report.gather import Facts, gather
from pipeline.report.markdown import markdown
from pipeline.system.callable_package import CallablePackage
from runtime.text import for_page

COARSE = 64
"""Images with a longer side below this, in pixels, are enlarged without smoothing."""


def report(folder: Path, added: Iterable[Path] = (), out: Path | None = None) -> Facts:
    """Write ``report.html`` and ``report.md``.

    Args:
        folder: that export wrote, with the documents of other commands; the page names those that are missing.
        added: benchmarks of other devices, shown beside the folder's own.
        out: folder to write; ``folder`` by default.

    Returns:
        The documents that were read, and warnings.

    Raises:
        DocumentError: the folder has no usable manifest.
        ReportError: a benchmark in ``added`` cannot be used.
    """
    facts = gather(folder, added)
    out = out or folder
    artifacts.write_bytes(out / artifacts.REPORT_PAGE, page(facts).encode())
    artifacts.write_bytes(out / artifacts.REPORT_TABLE, markdown(facts).encode())
    return facts


def page(facts: Facts) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        finalize=lambda value: for_page(value) if type(value) is str else value,  # Markup is made by this package
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    album = open_album(facts)
    sections = [
        summary.files(facts),
        *out_of_fold.sections(facts, album),
        *mistakes.sections(facts),
        *contact_sheets.sections(facts, album),
        *latency.sections(facts),
        *labels.sections(facts.verified),
        *parity.sections(facts),
        *selective.sections(facts),
        provenance.section(facts),
    ]
    return environment.get_template("page.html").render(
        title=summary.title(facts.manifest),
        subtitle=summary.subtitle(facts.manifest),
        origin=summary.origin(facts),
        accuracies=[*out_of_fold.verdicts(facts), *verdicts.accuracies(facts)],
        verdicts=verdicts.verdicts(facts),
        warnings=facts.warnings,
        sections=sections,
        coarse=max(facts.manifest.size) < COARSE,
    )


sys.modules[__name__].__class__ = CallablePackage  # notebooks call the result of ``from pipeline import report``
