"""README.md shows the figures of docs/benchmark.json, measured on the reference's files and all test images."""

import copy

import pytest

from docs.figures import readme
from docs.figures.cli import main
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.errors import PipelineError
from pipeline.formats import MODEL_FILES

ROOT = artifacts.REFERENCE_DIR.parent.parent


@pytest.fixture
def figures():
    return artifacts.read_json(ROOT / readme.FIGURES)


@pytest.fixture
def measured(figures, reference, tmp_path):
    """An export folder to which the stored figures could belong."""
    for name in (artifacts.MANIFEST, artifacts.VERIFY):
        (tmp_path / name).write_bytes((reference / name).read_bytes())
    listed = artifacts.read_json(reference / artifacts.MANIFEST)["files"]
    report = figures["benchmark"]
    rows = [
        row | {"sha256": listed[row["artifact"]]["sha256"]} for row in report["contenders"] if row["artifact"] in listed
    ]
    stranger = rows[0] | {"artifact": "model_fp16.tflite"}  # left by an earlier export
    artifacts.write_json(tmp_path / artifacts.BENCHMARK, report | {"contenders": [*rows, stranger]})
    return tmp_path


def rewrite(path, **entries):
    artifacts.write_json(path, artifacts.read_json(path) | entries)


def test_readme_shows_the_kept_figures(figures):
    for name, table in readme.tables(figures).items():
        assert marked(name, table) in (ROOT / readme.DOCUMENTS[name]).read_text(encoding="utf-8")


def test_figures_are_gathered_and_printed(measured, tmp_path):
    found = readme.gather(measured)
    assert found["verified"]["images"] == 10_000
    timed = {row["artifact"] for row in found["benchmark"]["contenders"]}
    assert timed == {*MODEL_FILES, artifacts.MODEL_KERAS}
    for document in readme.DOCUMENTS.values():
        markers = "".join(marked(name, "") for name, other in readme.DOCUMENTS.items() if other == document)
        artifacts.write_bytes(tmp_path / document, markers.encode())
    readme.publish(found, tmp_path)
    assert artifacts.read_json(tmp_path / readme.FIGURES) == found
    cold_starts = [row.get("cold_start_ms") for row in found["benchmark"]["contenders"]]
    text = (tmp_path / readme.DOCUMENT).read_text(encoding="utf-8")
    assert any(ms and f"this file takes {ms / 1e3:.1f} s on " in text for ms in cold_starts)
    share = found["verified"]["artifacts"][artifacts.INT8_ONNX]["agreement"]
    assert f"| {share:.2%} |" in text


def test_every_engine_stands_once_on_each_file_as_it_is_fastest(figures):
    slow, fast = (copy.deepcopy(figures["benchmark"]["contenders"][0]) for _ in range(2))
    slow["threads"], slow["latency_us"]["p50"] = 1, 99.0
    fast["threads"], fast["latency_us"]["p50"] = 4, 33.0
    needed = {readme.KERAS, artifacts.INT8_ONNX}
    others = [row for row in figures["benchmark"]["contenders"] if {row["backend"], row["artifact"]} & needed]
    figures["benchmark"]["contenders"] = [slow, fast, *others]
    table = readme.tables(figures | {"verified": figures["verified"] | {"artifacts": {}}})["backends"]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `{fast['artifact']}` | {fast['engine']}")]
    assert row.split(" | ")[2:4] == ["4", "33"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            artifacts.VERIFY,
            {"test_digest": "0" * 64, "images": 1000},
            r"of 1,000 test images; .* all 10,000 test images",
        ),
        (artifacts.VERIFY, {"passed": False}, "a file did not pass; README.md is left as it is"),
        (artifacts.VERIFY, {"images": "many"}, "run python -m pipeline verify"),
        (artifacts.BENCHMARK, {"version": 9}, "written in version 9 of the format"),
        (artifacts.MANIFEST, {"files": {}}, "not an export of .*model.keras"),
    ],
)
def test_other_figures_are_refused(measured, name, change, message):
    rewrite(measured / name, **change)
    with pytest.raises(PipelineError, match=message):
        readme.gather(measured)


def test_files_that_verify_or_bench_did_not_see_are_refused(measured):
    manifest = artifacts.read_json(measured / artifacts.MANIFEST)
    manifest["files"][artifacts.INT8_ONNX]["sha256"] = "0" * 64
    artifacts.write_json(measured / artifacts.MANIFEST, manifest)
    with pytest.raises(PipelineError, match=r"model_int8\.onnx: exported again after verify or bench read it"):
        readme.gather(measured)


def test_what_was_not_run_is_asked_for_in_one_line(tmp_path, capsys):
    assert main(["readme", str(tmp_path)]) == 2
    assert "run python -m pipeline export first" in capsys.readouterr().err
