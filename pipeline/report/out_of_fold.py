"""How good the network is on photos that it did not learn from, and what would make it better."""

from pipeline.documents.history import OutOfFold
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, percent
from pipeline.report.sections import Section, Table, Verdict

SHOWN = 20


def verdicts(facts: Facts) -> list[Verdict]:
    """Accuracy out of fold, where the training measured it."""
    found = _found(facts)
    if found is None:
        return []
    text = (
        f"of {found.images:,} photos, each judged by a network that did not learn from it; 95 % interval "
        f"{_interval(found)}."
    )
    return [Verdict("Accuracy", "figure", percent(found.accuracy, 1), text)]


def sections(facts: Facts) -> list[Section]:
    """What would help."""
    found = _found(facts)
    if found is None:
        return []
    lead = (
        f"Cross-validation with {found.folds} folds, photos that look alike in one: {percent(found.accuracy, 1)} of "
        f"{found.images:,} photos right ({_interval(found)}). {_of_twice(found)}"
    )
    tables = [
        Table(
            ("photos a class", "accuracy"),
            [(f"{point.photos_a_class:.0f}", percent(point.accuracy, 1)) for point in found.curve],
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
                    percent(row.found / row.photos, 1),
                    row.taken_for or NONE,
                )
                for row in found.classes
            ],
            "Classes, the weakest first",
            words=1,
        ),
    ]
    if found.suspects:
        tables.append(
            Table(
                ("photo", "its folder says", "the network says", "how likely the folder's class is"),
                [(row.path, row.label, row.taken_for, percent(row.probability, 1)) for row in found.suspects[:SHOWN]],
                "These may lie in the wrong folder, or show their class badly",
                left=3,
            )
        )
    return [Section("help", "What would help", lead, tables=tables, tables_open=True)]


def _found(facts: Facts) -> OutOfFold | None:
    return facts.history.out_of_fold if facts.history else None


def _interval(found: OutOfFold) -> str:
    return f"{percent(found.low, 1)} to {percent(found.high, 1)}"


def _of_twice(found: OutOfFold) -> str:
    alike = f" {found.look_alike:.0f} photos look like another one and count little." if found.look_alike else ""
    if found.gain_of_twice is None:
        return f"More photos of the same kind would hardly help, or there are too few to tell.{alike}"
    return f"Twice as many photos would bring about {100 * found.gain_of_twice:.1f} points.{alike}"
