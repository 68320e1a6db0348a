"""docs/quantization.md shows the figures of docs/large-int8.json."""

import pytest

from docs.figures import large_int8
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.errors import PipelineError


def test_the_table_is_the_files(repository):
    rows = artifacts.read_json(repository / large_int8.FIGURES)
    text = (repository / large_int8.DOCUMENT).read_text(encoding="utf-8")
    assert marked("large-int8", large_int8.tables(rows)) in text


def test_a_goal_is_met_by_accuracy_and_agreement(repository):
    row = artifacts.read_json(repository / large_int8.FIGURES)[0]
    (decision, *_) = row["files"].values()
    good = {**decision["shown"][0], "lost_points": 0.3, "agreement": 0.985, "chosen": False}
    decision["shown"] = [good, {**good, "lost_points": 0.4, "chosen": True}, {**good, "agreement": 0.984}]
    lines = large_int8.tables([{**row, "files": {"model_int8.onnx": decision}}]).splitlines()[2:5]
    assert [line.split("|")[-2].strip() for line in lines] == ["goal met", "**chosen**, goal missed", "goal missed"]


def test_other_photos_are_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"0 \.jpg files; expected 1,000"):
        large_int8.read_photos(tmp_path, 32)
