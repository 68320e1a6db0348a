import pytest

from pipeline import artifacts, benchmark_data
from pipeline.benchmark_data import KERAS, OURS, format_data_benchmark


@pytest.mark.slow
def test_both_ways_are_timed_on_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    photos = benchmark_data.PhotoSet
    monkeypatch.setattr(
        benchmark_data,
        "SETS",
        {"12 megapixels": photos(640, 480, 6, 6, 1e-9), "500 pixels": photos(64, 48, 12, 12, 1e9)},
    )
    monkeypatch.setattr(benchmark_data, "START_PHOTOS", 24)
    report = benchmark_data.benchmark_data(tmp_path, 16, rounds=1)
    assert report == artifacts.read_json(tmp_path / artifacts.BENCHMARK_DATA)
    for ways in report["sets"].values():
        assert all(ways[way]["images_per_second"] > 0 and ways[way]["processor_ms"] > 0 for way in (OURS, KERAS))
    assert [bar["met"] for bar in report["bars"][:2]] == [True, False]
    assert "NOT MET" in format_data_benchmark(report)
