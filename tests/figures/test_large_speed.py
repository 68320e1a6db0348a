"""docs/quantization.md shows the figures of docs/large-speed.json."""

import time

from docs.figures import large_speed
from docs.figures.documents import marked
from pipeline import artifacts


def test_the_table_is_the_file(repository):
    report = artifacts.read_json(repository / large_speed.FIGURES)
    text = (repository / large_speed.DOCUMENT).read_text(encoding="utf-8")
    assert marked("large-speed", large_speed.tables(report)) in text


def test_waiting_takes_time_by_the_clock_but_not_of_the_processor():
    figures = large_speed.timed({"waiting": lambda _: time.sleep(0.02), "quick": str}, turns=3)
    assert all(0 <= own["least"] <= own["median"] for own in figures.values())
    assert all(0 <= own["processor_least"] <= own["processor_median"] for own in figures.values())
    assert figures["waiting"]["least"] >= 20 > figures["quick"]["least"]
    assert figures["waiting"]["processor_least"] < 10
