"""docs/quantization.md shows the figures of docs/large-speed.json."""

from docs.figures import large_speed
from docs.figures.documents import marked
from pipeline import artifacts


def test_the_table_is_the_file(repository):
    report = artifacts.read_json(repository / large_speed.FIGURES)
    text = (repository / large_speed.DOCUMENT).read_text(encoding="utf-8")
    assert marked("large-speed", large_speed.tables(report)) in text


def test_contenders_take_turns():
    called = []
    figures = large_speed.timed({"a": lambda _: called.append("a"), "b": lambda _: called.append("b")}, turns=3)
    assert "".join(called).lstrip("a").lstrip("b") == "aabb" * 3
    assert all(0 <= own["least"] <= own["median"] for own in figures.values())
    assert all(0 <= own["processor_least"] <= own["processor_median"] for own in figures.values())
