"""The diagrams of the report: what they draw, their axes and their texts."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import measured_folder
from pipeline import artifacts
from pipeline.documents.benchmark import Latency
from pipeline.report import page, parity
from pipeline.report.figures import latency
from pipeline.report.figures import parity as parity_figure
from pipeline.report.figures.latency import edge
from pipeline.report.figures.tradeoff import front, ticks
from pipeline.report.gather import gather


@pytest.fixture
def folder(tmp_path):
    return measured_folder.write(tmp_path / "build")


def test_pareto_front_keeps_what_nothing_beats_in_both():
    points = [(None, 3.0, 0.9), (None, 1.0, 0.8), (None, 2.0, 0.8), (None, 4.0, 0.85), (None, 5.0, 0.95)]
    assert [latency for _, latency, _ in front(points)] == [1.0, 3.0, 5.0]


@pytest.mark.parametrize("fastest", [0.9, 7.3, 31.0, 46_000.0, 2.7e6])
@pytest.mark.parametrize("span", [1.0, 1.2, 2.0, 6.0, 40.0, 3e3, 1e6])
def test_numbers_of_the_latency_axis_are_round_and_apart(fastest, span):
    low, high = fastest / 1.5, fastest * span * 1.5
    found = np.array(ticks(low, high))
    assert 2 <= len(found) <= 6
    assert low <= found[0] < found[-1] <= high
    assert np.diff(np.log(found)).min() / np.log(high / low) > 0.165
    assert found == pytest.approx([float(f"{value:.3g}") for value in found])


@pytest.mark.parametrize(
    ("scale", "label", "numbers"),
    [(1, "one image, µs", {"20"}), (1e3, "one image, ms", {"20"}), (1e5, "one image, s", {"2"})],
)
def test_the_latency_axis_is_in_the_unit_of_its_numbers(folder, scale, label, numbers):
    (device,) = gather(folder).devices.values()
    rows = [
        row.model_copy(
            update={"latency_us": row.latency_us.model_copy(update={"p50": 20 * scale, "p99": 45 * scale})}
        )
        for row in device.contenders if row.latency_us
    ]  # fmt: skip
    figure = latency.draw(device.model_copy(update={"contenders": tuple(rows)}))
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlabel() == label
    assert numbers <= {text.get_text() for text in figure.axes[0].get_xticklabels()}


def test_the_strokes_of_limits_do_not_touch_the_text(folder):
    figure = parity_figure.draw(gather(folder).verified.measured, gather(folder).verified.share)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for text in axes.texts:
        box = text.get_window_extent()
        for line in axes.lines:
            marked = line.get_window_extent()
            assert not (box.y0 < marked.y1 + 1 and marked.y0 < box.y1), (text, line.get_gid())


def test_many_classes_are_drawn_as_the_most_confused(folder):
    random, names = np.random.default_rng(0), [f"class {index}" for index in range(40)]
    matrix = (random.integers(0, 3, (40, 40)) + 30 * np.eye(40, dtype=int)).tolist()
    document = measured_folder.verified()
    document["class_names"] = names
    for scored in (document["keras"], *document["artifacts"].values()):
        scored["confusion"] = matrix
    artifacts.write_json(folder / artifacts.VERIFY, document)
    text = page(gather(folder))
    assert text.count('id="confusion-keras-cell-') == 400
    assert "Of 40 classes, the 20 with the most errors; all others are left out here." in text
    assert json.loads((folder / artifacts.VERIFY).read_text())["class_names"] == names


def test_the_confusions_of_a_file_are_its_own():
    keras, file = [[5, 1], [2, 7]], [[4, 2], [2, 7]]
    measured = {"a.onnx": SimpleNamespace(confusion=file), "b.onnx": SimpleNamespace(confusion=keras)}
    verified = SimpleNamespace(class_names=("cat", "dog"), keras=SimpleNamespace(confusion=keras), measured=measured)
    section = parity._confusion(verified)  # noqa: SLF001 - the section itself
    assert [table.rows for table in section.tables] == [
        [("cat", "5", "1"), ("dog", "2", "7")],
        [("cat", "4", "2"), ("dog", "2", "7")],
    ]
    assert "b.onnx changes no cell" in section.lead


def test_the_axis_of_latencies_ends_behind_the_longest_that_is_comparable():
    latencies = [(100, 150), (200, 900), (900, 901)]  # the last is cut off, and the second's slow moments are
    assert edge([Latency(p50=p50, p90=p50, p99=p99, worst=p99, runs=9) for p50, p99 in latencies]) == pytest.approx(440)
