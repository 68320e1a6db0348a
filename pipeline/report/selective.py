"""The sections on rejecting answers: for low confidence, or because the picture shows none of the classes."""

from pipeline.documents.known import Familiarity
from pipeline.documents.shares import interval_of, share_of
from pipeline.documents.verify import Selective, Verification
from pipeline.formats import INT8, precision_of
from pipeline.metrics.significance import auroc_interval, share_interval, wilson
from pipeline.report.figures import known, risk
from pipeline.report.figures.reliability import KERAS
from pipeline.report.figures.style import picture
from pipeline.report.gather import Facts
from pipeline.report.numbers import listed, percent
from pipeline.report.sections import Chart, Section, Table

TITLE, CHANCE = "Known and unknown", 0.5
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Coverages (0-1) in the table of risk."""


def sections(facts: Facts) -> list[Section]:
    """Build the sections for which there is data, in the order of the page."""
    return [*_risk(facts.verified), *_known(facts)]


def _risk(verified: Verification | None) -> list[Section]:
    if verified is None:
        return []
    found = {
        name: row.selective
        for name, row in {KERAS: verified.keras, **verified.measured}.items()
        if row.selective is not None
    }
    if not found:
        return []
    lead = (
        f"The error rate if only the most confident answers count, on {verified.judged_on}. A confidence threshold "
        "(export --precision) is a point on this curve."
    )
    chart = Chart("risk", "Risk against coverage", picture("risk", "risk against coverage", risk.draw, found))
    areas = Table(
        ("file", "AURC", "wrong if all count"),
        [(name, f"{curve.area:.4f}", _wrong(curve.risk[-1], verified.images)) for name, curve in found.items()],
        "Area under the curve: the mean risk; less is better",
    )
    points = Table(
        ("answered", *found),
        [(percent(share, 0), *(_at(curve, share, verified.images) for curve in found.values())) for share in COVERAGES],
        "Error rate, and the confidence from which on answers count",
        left=0,
    )
    return [Section("risk", "Risk against coverage", lead, [chart], tables=[areas, points])]


def _wrong(share: float, images: int) -> str:
    return f"{share_of(share, images)}\n{interval_of(share_interval(share, images), images, 1)}"


def _at(curve: Selective, share: float, images: int) -> str:
    """Format the first point of the curve with at least this coverage."""
    place = next(place for place, coverage in enumerate(curve.coverage) if coverage >= share - 1e-9)
    answered = round(curve.coverage[place] * images)
    return f"{share_of(curve.risk[place], answered)}\nfrom {curve.threshold[place]:.3f}"


def _known(facts: Facts) -> list[Section]:
    found, checked = facts.known, facts.manifest.familiarity
    said = checked.sentence if checked and not checked.is_useful else ""
    if found is None:
        return [Section("known", TITLE, said)] if said else []
    first = min(found.files, key=lambda name: precision_of(name) is not INT8)
    shown = found.files[first]
    lead = (
        f"Shown are the familiarity scores of {shown.photos:,} {found.part} photos of the classes, and of pictures "
        "that show none of them. A picture below the threshold is taken for none of the classes. AUROC: how often a "
        f"photo of the classes has a higher score than such a picture; 0.5 is chance. {_told(first, shown)}"
    )
    caption = "Each histogram has its own height. Orange: on the wrong side of the threshold."
    svg = picture("known", "familiarity of photos of the classes and of other pictures", known.draw, shown)
    chart = Chart("known", first, svg, caption)
    tables = [_table(name, one) for name, one in found.files.items()]
    return [Section("known", TITLE, f"{said} {lead}".lstrip(), [chart], tables=tables)]


def _told(name: str, found: Familiarity) -> str:
    """Say which kinds of pictures a file does not tell from photos of its classes."""
    intervals = {row.kind: auroc_interval(row.auroc, found.photos, row.pictures) for row in found.out_of_distribution}
    missed = [kind for kind, interval in intervals.items() if interval.low <= CHANCE]
    if not missed:
        return f"{name} tells all these kinds from photos of its classes better than by chance."
    return f"{name} does not tell {listed(missed)} from photos of its classes: the AUROC is no better than chance."


def _table(name: str, one: Familiarity) -> Table:
    rows = [("photos of its classes", f"{one.photos:,}", _share(one.known, one.photos), "", "")]
    rows += [
        (
            each.kind,
            f"{each.pictures:,}",
            _share(each.accepted, each.pictures),
            f"{each.auroc:.3f}",
            share_of(each.false_positives, each.pictures, 1),
        )
        for each in one.out_of_distribution
    ]
    header = ("pictures", "number", "taken for known", "AUROC", "false positives at 95 %")
    return Table(header, rows, f"{name}, known from {one.threshold:.4g} on")


def _share(count: int, of: int) -> str:
    return f"{share_of(count / of, of, 1)}\n{interval_of(wilson(count, of), of, 1)}"
