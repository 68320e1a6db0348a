import json

import pytest

from docs.figures import reading
from docs.figures.documents import marked
from docs.figures.files import BENCHMARK_READING
from docs.figures.reading import KERAS, OURS
from docs.figures.reading.parts import WHOLE
from docs.figures.reading.tables import (
    DOCUMENT,
    FIGURES,
    SECTION,
    format_data_benchmark,
    markdown_tables,
    publish,
)
from pipeline import artifacts

ROOT = artifacts.REFERENCE_DIR.parent.parent


def test_the_document_shows_the_kept_figures():
    assert markdown_tables(artifacts.read_json(ROOT / FIGURES)) in (ROOT / DOCUMENT).read_text(encoding="utf-8")


@pytest.mark.slow
def test_both_ways_are_timed_on_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    photos = reading.PhotoSet
    monkeypatch.setattr(
        reading,
        "SETS",
        {"12 megapixels": photos(640, 480, 6, 6, limit=1e-9), "500 pixels": photos(64, 48, 12, 12, limit=1e9)},
    )
    monkeypatch.setattr(reading, "START_PHOTOS", 24)
    started, in_a_new_process = {}, reading.in_a_new_process

    def once(way, root, side):  # TensorFlow takes seconds to start: one process of each way for both sets
        return started[way] if way in started else started.setdefault(way, in_a_new_process(way, root, side))

    monkeypatch.setattr(reading, "in_a_new_process", once)
    report = reading.benchmark_data(tmp_path, 16, rounds=1)
    assert json.loads(json.dumps(report)) == artifacts.read_json(tmp_path / BENCHMARK_READING)
    assert [measured["files"] for measured in report["sets"].values()] == [6, 12]
    for measured, bar in zip(report["sets"].values(), report["bars"], strict=False):
        rates = [measured["ways"][way]["images_per_second"] for way in (OURS, KERAS)]
        assert [bar["ours"], bar["theirs"], bar["value"]] == [*rates, rates[0] / rates[1]]
        assert list(measured["parts_ms"]) == ["1/8", "1/4", "1/2", "1/1", WHOLE]
    assert [bar["met"] for bar in report["bars"][:2]] == [True, False]
    assert "MISSED" in format_data_benchmark(report)
    (tmp_path / "page.md").write_text(marked(SECTION, "old"), encoding="utf-8")
    publish(report, tmp_path / "figures.json", tmp_path / "page.md")
    assert markdown_tables(report) in (tmp_path / "page.md").read_text(encoding="utf-8")
