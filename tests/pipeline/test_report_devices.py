"""Benchmarks of several devices in one report."""

import json

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.errors import ReportError
from pipeline.report import page, report
from pipeline.report.figures import stages
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown


@pytest.fixture
def folder(tmp_path):
    return measured_folder.write(tmp_path / "build")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"some": "other"}', "has no entry 'created'"),
        ('{"format": ', "not JSON (EOF while parsing a value at line 1 column 11)"),
        ("[1, 2]", "its content is [1, 2], input should be an object"),
        ({"format": "other"}, "its format is 'other', not 'edgecnn-benchmark'"),
        ({"version": 2}, "written in version 2 of the format, this edgecnn reads up to 1"),
        ({"contenders": 7}, "its 'contenders' is 7, input should be a valid array"),
    ],
)
def test_a_device_that_was_asked_for_must_be_usable(folder, tmp_path, content, expected):
    path = tmp_path / "pi.json"
    path.write_text(content if isinstance(content, str) else json.dumps(measured_folder.benchmark() | content))
    with pytest.raises(ReportError) as failure:
        report(folder, [path])
    remedy = "expected a file that python -m runtime bench MODEL… --out FILE writes, of the same version of edgecnn"
    assert str(failure.value) == f"{path}: {expected}; {remedy}: run that on the device and give its file"
    assert not (folder / artifacts.REPORT_PAGE).exists()


def test_file_of_another_export_on_a_device_is_told(folder, tmp_path):
    document = measured_folder.benchmark("Pi")
    document["contenders"][1]["sha256"] = "0" * 64
    artifacts.write_json(tmp_path / "pi.json", document)
    (line,) = gather(folder, [tmp_path / "pi.json"]).warnings
    assert line.startswith(f"{artifacts.INT8_ONNX}: Pi measured another file of this name")


def test_devices_stand_side_by_side(folder, tmp_path):
    hot = measured_folder.benchmark("Pi", 10, ["soft temperature limit now"])
    artifacts.write_json(tmp_path / "pi.json", hot)
    busy = measured_folder.benchmark("Pi", 11)
    busy["conditions"]["before"]["load_average"] = 9.0
    artifacts.write_json(tmp_path / "second.json", busy)
    facts = gather(folder, [tmp_path / "pi.json", tmp_path / "second.json"])
    assert list(facts.devices) == ["Desk", "pi", "second"]  # two boards of one kind are told apart by their files
    text = page(facts)
    for number in range(3):
        assert f'id="chart-latency-{number}"' in text
    assert text.count("Throttled (soft temperature limit now): these times are too long.") == 4  # of Pi, each chart
    assert "pi, throttled" in text
    assert text.count("(load 9.0 on 4 cores)") == 4
    assert markdown(facts).count("| file | engine |") == 3
    assert markdown(facts).count("Throttled") == 1


def test_boards_of_one_kind_and_file_name_are_numbered(folder, tmp_path):
    paths = [tmp_path / place / "pi.json" for place in "ab"]
    for path in paths:
        artifacts.write_json(path, measured_folder.benchmark("Pi"))
    assert list(gather(folder, paths).devices) == ["Desk", "pi", "pi (2)"]
    assert list(gather(folder, paths[:1]).devices) == ["Desk", "Pi"]


def test_photo_to_label_is_ordered_named_and_cut_where_one_is_far_slower(folder):
    document = measured_folder.benchmark()
    slow, several = ({**document["end_to_end"][0]} for _ in range(2))
    slow |= {"artifact": artifacts.MODEL_KERAS, "backend": "keras", "inference_us": 90000.0, "total_us": 94400.0}
    several |= {"threads": 4, "total_us": 4000.0}
    measured_folder.rewrite(folder / artifacts.BENCHMARK, end_to_end=[slow, several, *document["end_to_end"]])
    (device,) = gather(folder).devices.values()
    assert [(row.artifact, row.threads) for row in stages.shown(device)] == [
        (artifacts.INT8_ONNX, 1),
        (artifacts.MODEL_KERAS, 1),
    ]
    figure = stages.draw(device)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[1::2] == ["4.43 ms", "94.4 ms"]
    assert texts[0].endswith("ONNX Runtime, 1 thread")
    assert figure.axes[0].get_xlim() == pytest.approx((0, 1.05 * 4427.5))
    table = page(gather(folder)).partition('id="end-to-end"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + 3  # every count of threads
    assert "ONNX Runtime, 4 threads" in table


def test_a_device_on_which_nothing_ran_says_so(folder):
    document = measured_folder.benchmark()
    measured_folder.rewrite(folder / artifacts.BENCHMARK, contenders=document["contenders"][-1:], end_to_end=[])
    text = page(gather(folder))
    for why in ("no engine ran", "no file&#39;s accuracy is known", "no photo was timed end to end"):
        assert f"Desk: {why}." in text
    assert "ncnn is not installed" in text
