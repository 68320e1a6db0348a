"""The sections on cross-validation: accuracy out of fold, and what would make the network more accurate."""

import numpy as np

from pipeline.documents.out_of_fold import OutOfFold, Suspect
from pipeline.documents.shares import interval_of, percent_of
from pipeline.report.album import Album
from pipeline.report.figures import confusion
from pipeline.report.figures.style import picture
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, percent
from pipeline.report.sections import Absent, Card, Chart, Gallery, Section, Table, Verdict
from runtime.text import plural

SHOWN, PAIRS, SIDE = 24, 12, 128
"""At most this many photos and pairs, and the pixels a side of a photo."""


def verdicts(facts: Facts) -> list[Verdict]:
    """Return the accuracy out of fold, if the training measured it."""
    found = _found(facts)
    if found is None:
        return []
    text = (
        f"of {plural(found.images, 'photo')}, each judged by a network that did not learn from it; 95 % interval "
        f"{_interval(found)}."
    )
    return [Verdict("Accuracy", "figure", percent_of(found.accuracy, found.images, 1), text)]


def sections(facts: Facts, album: Album | None) -> list[Section]:
    """Build the sections on what would help, suspect photos and pairs that look alike."""
    found = _found(facts)
    if found is None:
        return []
    judged = (
        f"Cross-validation with {found.folds} folds (photos that look alike are in the same fold): "
        f"{percent_of(found.accuracy, found.images, 1)} of {plural(found.images, 'photo')} right ({_interval(found)})."
    )
    lead = " ".join([judged, _of_twice(found), *(row.sentence for row in found.shortcut_features)])
    tables = [
        Table(
            ("photos a class", "accuracy"),
            [(f"{point.photos_a_class:.0f}", percent_of(point.accuracy, found.images, 1)) for point in found.curve],
            "Learning curve",
            left=0,
        ),
        Table(
            ("class", "photos", "found", "share", "others mostly taken for"),
            [
                (
                    row.name,
                    f"{row.photos:,}",
                    f"{row.found:.0f}",
                    percent_of(row.found / row.photos, row.photos, 1),
                    row.taken_for or NONE,
                )
                for row in found.classes
            ],
            "Classes, the weakest first",
            words=1,
        ),
    ]
    charts = _confusion(facts, found)
    below = [] if charts else tables
    help_ = Section("help", "What would help", lead, charts, tables if charts else [], below, tables_open=True)
    return [help_, *_suspects(found, album), *_pairs(found, album)]


def _confusion(facts: Facts, found: OutOfFold) -> list[Chart]:
    names = facts.manifest.class_names
    if len(found.confusion) != len(names):
        return []
    svg = picture("confusion-fold", "confusion matrix", confusion.draw, np.array(found.confusion), names)
    caption = "Rows: the photo's folder; columns: the network's answer; cells: numbers of photos."
    return [Chart("confusion-fold", "Out of fold", svg, caption)]


def _suspects(found: OutOfFold, album: Album | None) -> list[Section]:
    """Build the section on photos whose own class is unlikely: pictures, and a table of those no longer there."""
    rows = found.suspects[:SHOWN]
    if not rows:
        return []
    pictures = album.pictures([row.path for row in rows], SIDE) if album else {}
    cards = [
        Card((pictures[row.path],), f"{row.label}? looks like {row.taken_for}", (_likely(row), row.path))
        for row in rows
        if row.path in pictures
    ]
    gone = [(row.path, row.label, row.taken_for, _likely(row)) for row in rows if row.path not in pictures]
    lead = (
        "Networks that were trained without these photos find the class of their folder unlikely. Move photos that lie "
        "in the wrong folder, delete photos that do not show their class, and train again."
    )
    header = ("photo", "its folder says", "the network says", "how likely the folder's class is")
    section = Section(
        "suspects",
        "These may lie in the wrong folder",
        lead,
        galleries=[Gallery("The least likely first", cards)] if cards else [],
        tables=[Table(header, gone, left=3)] if gone else [],
        missing=[Absent(f"{len(gone):,} of these photos have been moved or deleted, or cannot be read")]
        if gone
        else [],
        tables_open=True,
    )
    return [section]


def _likely(row: Suspect) -> str:
    return f"{row.label} {percent(row.probability, 1)}"


def _pairs(found: OutOfFold, album: Album | None) -> list[Section]:
    """Build the section on photos that look alike and lie in different classes."""
    pairs = found.between_classes[:PAIRS]
    pictures = album.pictures([path for pair in pairs for path in pair], SIDE) if album else {}
    cards = [
        Card((pictures[one], pictures[other]), one, (other,), second=other)
        for one, other in pairs
        if one in pictures and other in pictures
    ]
    if not cards:
        return []
    lead = "One photo of each pair may lie in the wrong folder, or both are of one burst that shows both classes."
    return [Section("alike", "Alike, and in different classes", lead, galleries=[Gallery("Pairs", cards)])]


def _found(facts: Facts) -> OutOfFold | None:
    return facts.history.out_of_fold if facts.history else None


def _interval(found: OutOfFold) -> str:
    return interval_of((found.low, found.high), found.images, 1)


def _of_twice(found: OutOfFold) -> str:
    alike = f" {found.look_alike:.0f} photos look like another one and add little." if found.look_alike else ""
    if found.gain_of_twice is None:
        return f"More photos of the same kind would hardly help, or there are too few to tell.{alike}"
    return f"Twice as many photos would bring about {100 * found.gain_of_twice:.1f} points.{alike}"
