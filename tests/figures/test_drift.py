"""docs/field.md: the table of drift is printed from its JSON, and its figures reach the goals."""

from docs.figures import drift
from docs.figures.documents import marked
from pipeline import artifacts


def test_the_document_has_the_table_of_its_figures(repository):
    found = artifacts.read_json(repository / drift.FIGURES)
    text = (repository / drift.DOCUMENT).read_text(encoding="utf-8")
    assert marked("drift", drift.drift_table(found)) in text
    assert len(found["false_alarms"]) <= found["sites"] * found["days"] / 30
