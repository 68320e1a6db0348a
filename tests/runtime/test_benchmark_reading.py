"""A benchmark file of another machine is read with suspicion."""

import copy
import json

import pytest

from runtime.benchmark.reading import BenchmarkFormatError, read_benchmark, row_of

ROW = {
    "backend": "onnxruntime",
    "artifact": "model.onnx",
    "threads": 1,
    "sha256": "00",
    "missing": None,
    "latency_us": {"p50": 3.0},
}
GOOD = {
    "format": "edgecnn-benchmark",
    "version": 1,
    "device": {},
    "conditions": {},
    "versions": {},
    "settings": {},
    "contenders": [ROW, {**ROW, "threads": 2, "missing": {"reason": "", "install": ""}, "latency_us": None}],
    "end_to_end": [],
}


@pytest.fixture
def written(tmp_path):
    """A function: write a text, or a benchmark with a change."""

    def write(content):
        path = tmp_path / "device.json"
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        path.write_bytes(content)
        return path

    return write


def test_what_is_good_is_read_and_its_rows_are_found(written):
    report = read_benchmark(written(GOOD))
    assert report == GOOD
    assert row_of(report, "model.onnx", "onnxruntime") == ROW
    for asked in (("model.onnx", "litert"), ("other.onnx", "onnxruntime"), ("model.onnx", "onnxruntime", 2)):
        with pytest.raises(BenchmarkFormatError, match=r"no figures for .*: run bench again"):
            row_of(report, *asked)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable benchmark"),
        (b"\xff\xfe{", "not a readable benchmark"),
        (b"[" * 100_000, "not a readable benchmark"),
        (json.dumps(GOOD).encode()[:-9], "not a readable benchmark"),
        ([], "not what bench writes"),
        ({"machine": {}, "contenders": {}}, "not what bench writes"),
        (GOOD | {"version": 2}, "a benchmark of version 2, this program reads 1"),
        (GOOD | {"contenders": {}}, "'contenders' is missing or damaged"),
        (GOOD | {"contenders": [None]}, "contender 1 is damaged"),
        (GOOD | {"contenders": [ROW, {**ROW, "latency_us": {"p50": "fast"}}]}, "contender 2 is damaged"),
    ],
)
def test_what_is_not_is_one_line(written, content, message):
    path = written(copy.deepcopy(content))
    with pytest.raises(BenchmarkFormatError, match=message) as caught:
        read_benchmark(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BenchmarkFormatError, match=r"none\.json: not a readable benchmark .*: run bench"):
        read_benchmark(tmp_path / "none.json")
