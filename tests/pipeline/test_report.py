"""The report shows the contents of the JSON files as text, and says what is missing or inconsistent."""

import json
import re
import subprocess
import sys

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.cli import main
from pipeline.documents.drift import DriftReport
from pipeline.documents.known import FamiliarityCheck
from pipeline.report import page, provenance, report
from pipeline.report.figures import layers
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.numbers import NONE
from pipeline.report.summary import files, origin, subtitle, title


@pytest.fixture
def folder(tmp_path):
    return measured_folder.write(tmp_path / "build")


def test_page_stands_alone_and_every_text_is_escaped(folder):
    report(folder)
    text = (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; $x_2$" in text
    assert "Some &lt;b&gt;CPU&lt;/b&gt;" in text
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
        'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    identities = [part.partition('"')[0] for part in text.split(' id="')[1:]]
    assert len(identities) == len(set(identities))


def test_what_a_verdict_leaves_open_stands_beside_it(folder):
    measured_folder.rewrite(folder / artifacts.VERIFY, caveats=["Only 60 images."])
    report(folder)
    for name in (artifacts.REPORT_PAGE, artifacts.REPORT_TABLE):
        assert "images. Only 60 images." in (folder / name).read_text(encoding="utf-8")


def test_a_diagram_of_too_few_answers_and_a_gallery_of_none_say_so(folder):
    verified, drifted = (artifacts.read_json(folder / name) for name in (artifacts.VERIFY, artifacts.DRIFT))
    for scores in (verified["keras"], *verified["artifacts"].values()):
        if "calibration" in scores:
            scores["calibration"]["counts"] = [min(count, 1) for count in scores["calibration"]["counts"]]
    for row in drifted["artifacts"].values():
        row["flips"] = []
    measured_folder.rewrite(folder / artifacts.VERIFY, **verified)
    measured_folder.rewrite(folder / artifacts.DRIFT, **drifted)
    report(folder)
    text = (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    assert "too few for a diagram" in text
    assert 'id="chart-reliability"' not in text
    assert "top-1 agreement with Keras is 100% for every file" in text


def test_what_is_left_out_has_its_sections(folder):
    report(folder)
    text = (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    for shown in ("Risk against coverage", "0.0432", '<td class="number">1 of 18<small>from 0.600</small>'):
        assert shown in text
    for shown in (
        "Known and unknown",
        "the familiarity scores of 30 test photos",
        "0.912",
        "31%",
        "flowers $x_2$ &lt;b&gt;",
    ):
        assert shown in text


def test_pictures_that_the_score_misses_are_named(folder):
    assert f"{artifacts.INT8_ONNX} tells all these kinds from photos of its classes" in page(gather(folder))
    document = artifacts.read_json(folder / artifacts.KNOWN)
    document["files"][artifacts.INT8_ONNX]["strangers"][1]["auroc"] = 0.54
    artifacts.write_json(folder / artifacts.KNOWN, document)
    assert f"{artifacts.INT8_ONNX} does not tell noise from photos of its classes" in page(gather(folder))


@pytest.mark.parametrize("written", [False, True])
def test_a_score_that_was_left_out_or_tells_nothing_is_said_so(folder, written):
    checked = FamiliarityCheck(photos=12, written=written)
    measured_folder.rewrite(folder / artifacts.MANIFEST, familiarity=checked.model_dump())
    if not written:
        (folder / artifacts.KNOWN).unlink()
    text = page(gather(folder))
    assert text.count(checked.sentence) == 1
    assert ('id="chart-known"' in text) == written


@pytest.mark.parametrize("change", ["deleted", "another file", "damaged"])
def test_what_was_judged_of_another_file_is_not_shown(folder, change):
    path = folder / artifacts.KNOWN
    if change == "deleted":
        path.unlink()
    elif change == "damaged":
        path.write_text("{")
    else:
        document = artifacts.read_json(path)
        document["files"][artifacts.INT8_ONNX]["sha256"] = "0" * 64
        artifacts.write_json(path, document)
    facts = report(folder)
    assert "Known and unknown" not in (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    assert (artifacts.KNOWN in facts.absent) == (change == "damaged")


def test_two_runs_write_the_same_bytes(folder):
    report(folder)
    first = (folder / artifacts.REPORT_PAGE).read_bytes()
    report(folder)
    assert (folder / artifacts.REPORT_PAGE).read_bytes() == first


def test_nothing_heavy_is_loaded(folder):
    code = (
        "import sys; from pathlib import Path; from pipeline.cli import main; "
        f"status = main(['report', {str(folder)!r}]); "
        "sys.exit(str({'tensorflow', 'keras', 'onnxruntime', 'onnx'} & set(sys.modules) or status or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "0\n" or done.stderr == ""  # noqa: PLR1714
    assert "Written: " in done.stdout


@pytest.mark.parametrize(
    ("name", "command"),
    [(artifacts.VERIFY, "verify"), (artifacts.DRIFT, "drift"), (artifacts.BENCHMARK, "bench")],
)
@pytest.mark.parametrize("harm", ["missing", "truncated", "external", "nan"])
def test_what_cannot_be_used_is_told_from_the_rest(folder, name, command, harm):
    path = folder / name
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif harm == "external":
        path.write_text('{"some": "other"}')
    else:
        path.write_text(re.sub(r'("(agreement|runs|snr_db)"): [\d.]+', r"\1: NaN", path.read_text()))
    absent = gather(folder).absent
    assert set(absent) == {name}
    said = str(absent[name])
    assert said.startswith(f"{path}: ")
    assert said.endswith(f"; python -m pipeline {command} {folder} --data PHOTOS writes it")
    assert "\n" not in said
    assert {"missing": "not there", "truncated": "not JSON (EOF", "external": "has no entry ", "nan": ""}[harm] in said


def test_what_was_not_run_is_said_on_screen_and_on_the_page(tmp_path, capsys):
    commands = {artifacts.VERIFY: "verify", artifacts.DRIFT: "drift", artifacts.BENCHMARK: "bench"}
    folder = measured_folder.write(tmp_path / "build", skip=(*commands, artifacts.KNOWN))
    assert main(["report", str(folder)]) == 0
    lines = capsys.readouterr().err.splitlines()
    expected = [
        f"{folder / name}: not there; python -m pipeline {command} {folder} --data PHOTOS writes it"
        for name, command in commands.items()
    ]
    assert lines == [f"hint: {line}" for line in expected]
    (folder / artifacts.DRIFT).write_text("{")
    assert main(["report", str(folder)]) == 0
    words = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert words == ["hint", "warning", "hint"]
    text = (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    for command in commands.values():
        assert text.count(f"python -m pipeline {command} {folder}") == 1  # once, where it matters
    assert "<svg" not in text
    assert "No verdict" in text
    assert text.count('<section class="part') == 4  # the files, one on benchmarks, one on drift, provenance


def test_without_a_manifest_there_is_no_report(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "manifest.json: not there; run python -m pipeline export first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_images_are_called_what_they_are(folder):
    assert "of each, on 30 test images." in page(gather(folder))
    measured_folder.rewrite(folder / artifacts.VERIFY, part="validation")
    text = page(gather(folder))
    assert "of each, on 30 validation images." in text
    assert "test images" not in text
    assert "30 validation images" in markdown(gather(folder))


def test_layers_of_another_file_are_told_from_this_ones(folder):
    drifted = artifacts.read_json(folder / artifacts.DRIFT)
    listed = artifacts.read_json(folder / artifacts.MANIFEST)["files"]
    drifted["artifacts"][artifacts.INT8_ONNX]["sha256"] = listed[artifacts.INT8_ONNX]["sha256"]
    artifacts.write_json(folder / artifacts.DRIFT, drifted)
    assert gather(folder).warnings == ()
    drifted["artifacts"][artifacts.INT8_ONNX]["sha256"] = "0" * 64
    artifacts.write_json(folder / artifacts.DRIFT, drifted)
    (line,) = gather(folder).warnings
    assert line.startswith(f"{artifacts.INT8_ONNX}: changed since drift")


def test_file_changed_since_verify_voids_its_verdict(folder):
    (folder / artifacts.INT8_ONNX).write_bytes(b"other")
    facts = gather(folder)
    assert facts.stale == (artifacts.INT8_ONNX,)
    lines = [line for line in facts.warnings if line.startswith(artifacts.INT8_ONNX)]
    assert [line.partition(", ")[0].partition("; ")[0] for line in lines] == [
        f"{artifacts.INT8_ONNX}: changed since export",
        f"{artifacts.INT8_ONNX}: changed since verify",
        f"{artifacts.INT8_ONNX}: Desk measured another file of this name",
    ]
    text = page(facts)
    assert "Out of date" in text
    assert '<p class="word">Pass</p>' in text  # of int8
    assert "**Verify: Out of date.**" in markdown(facts)


def test_breaches_are_read_first(folder):
    rows = measured_folder.verified()["artifacts"]
    rows[artifacts.INT8_ONNX]["violations"] = ["agreement 90.00% < 97%"]
    rows[artifacts.INT8_TFLITE] = {"violations": ["not a model"]}
    measured_folder.rewrite(folder / artifacts.VERIFY, artifacts=rows, passed=False)
    decisions = measured_folder.manifest()["decisions"]
    decisions[artifacts.INT8_ONNX]["passed"] = False
    decisions[artifacts.INT8_ONNX]["candidates"][0]["violations"] = ["over all: 9.0 points lost"]
    measured_folder.rewrite(folder / artifacts.MANIFEST, passed=False, decisions=decisions)
    facts = gather(folder)
    top = page(facts).partition("<nav")[0]
    assert top.count('<p class="word">Fail</p>') == 2
    assert f"{artifacts.INT8_ONNX}: agreement 90.00% &lt; 97%" in top
    assert f"{artifacts.INT8_TFLITE}: not a model" in top
    assert f"{artifacts.INT8_ONNX}: over all: 9.0 points lost" in top


def test_markdown_says_what_the_files_say(folder):
    text = markdown(gather(folder))
    assert "**Verify: Pass.** All 3 files answer" in text
    row = next(line for line in text.splitlines() if line.startswith(f"| `{artifacts.INT8_ONNX}` | ONNX Runtime"))
    assert row.split(" | ")[3:] == ["15", "80%", "97%", "2.7e-03", "27.5", "41.2", "0.125 [0.120, 0.130] |"]
    assert "| ncnn is not installed; pip install 'edgecnn\\[ncnn\\]' |" in text
    assert "&lt;b&gt;CPU&lt;/b&gt;" in text


RECORDED = {
    "accuracy": 0.71,
    "accuracy_images": 245,
    "accuracy_on": "photos, out of fold, as the file records it",
    "agreement": None,
}


@pytest.mark.parametrize("images", [29, 30])
def test_one_page_has_one_accuracy_of_a_file(folder, images):
    timed = artifacts.read_json(folder / artifacts.BENCHMARK)
    rows = [row | RECORDED for row in timed["contenders"] if row["artifact"] == artifacts.INT8_ONNX]
    measured_folder.rewrite(folder / artifacts.BENCHMARK, contenders=rows)
    measured_folder.rewrite(folder / artifacts.VERIFY, images=images)
    facts = gather(folder)
    for text in (markdown(facts), page(facts)):
        assert ("Accuracy on 30 test images, by verify." in text) == (images == 30)
        estimate = "Accuracy on 245 photos, out of fold, as the file records it; for exported files it is an estimate."
        assert (estimate in text) == (images == 29)
        assert ("71.00%" in text) == (images == 29)
    row = next(
        line for line in markdown(facts).splitlines() if line.startswith(f"| `{artifacts.INT8_ONNX}` | ONNX Run")
    )
    assert row.split(" | ")[4:6] == (["80%", "97%"] if images == 30 else ["71.00%", NONE])


def test_what_verify_found_of_another_file_is_not_the_accuracy_of_this_one(folder):
    timed = artifacts.read_json(folder / artifacts.BENCHMARK)
    others = [row | RECORDED | {"sha256": "0" * 64} for row in timed["contenders"]]
    measured_folder.rewrite(folder / artifacts.BENCHMARK, contenders=others)
    assert {row.accuracy for row, _ in next(iter(gather(folder).devices.values())).timed} == {0.71}


@pytest.mark.parametrize(
    ("images", "lead", "cells"),
    [
        (30, "Accuracy and agreement on 30 test images.", ("80%", "97%")),
        (10, "Accuracy and agreement on 10 test images. Fewer than 30 images", ("8 of 10", "10 of 10")),
    ],
)
def test_figures_of_files_stand_with_their_images(folder, images, lead, cells):
    measured_folder.rewrite(folder / artifacts.VERIFY, images=images)
    section = files(gather(folder))
    assert section.lead.startswith(lead)
    row = next(row for row in section.tables[0].rows if row[0] == artifacts.INT8_ONNX)
    assert (row[3], row[5]) == cells
    assert (row[4] == NONE) == (images == 10)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ants", "bees"), "ants or bees"),
        (tuple("abcd"), "a, b, c or d"),
        (tuple("abcde"), "5 classes: a, b, …"),
        (("x" * 100, "bees"), f"{'x' * 39}… or bees"),
    ],
)
def test_the_title_names_the_classes(folder, names, expected):
    manifest = gather(folder).manifest.model_copy(update={"class_names": names})
    assert title(manifest) == expected
    assert subtitle(manifest) == f"16×16 pixels, {len(names)} classes, 3 model files"


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        ([1 / 255] * 3, [0.0] * 3, "pixels of 0 to 1, scaled inside the files"),
        ([1.0] * 3, [0.0] * 3, "pixels of 0 to 255"),
        ([1 / 127.5] * 3, [-1.0] * 3, "pixels of -1 to 1, scaled inside the files"),
        ([1.0] * 3, [-104.0, -117.0, -124.0], "-104 to 151 / -117 to 138 / -124 to 131, scaled"),
    ],
)
def test_the_values_that_the_model_takes_are_said_as_a_range(folder, scale, offset, expected):
    measured_folder.rewrite(folder / "manifest.json", scale=scale, offset=offset)
    assert expected in dict(origin(gather(folder)))["The model takes"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, f"{artifacts.MODEL_KERAS}, 11 KiB"),
        (artifacts.MODEL_KERAS, f"{artifacts.MODEL_KERAS}, 11 KiB"),
        ("mine.keras", f"mine.keras (kept as {artifacts.MODEL_KERAS}), 11 KiB"),
    ],
)
def test_the_file_that_was_exported_is_called_by_its_name(folder, source, expected):
    measured_folder.rewrite(folder / artifacts.MANIFEST, source=source)
    assert dict(origin(gather(folder)))["Exported from"].startswith(expected)


def test_all_configs_are_shown_with_what_decides_and_why_one_was_chosen(folder):
    decisions = measured_folder.manifest()["decisions"]
    decision = decisions[artifacts.INT8_ONNX]
    other = {**decision["candidates"][0], "stage": "structure", "summary": "other", "mean_difference": 0.0123}
    screened = {**other, "stage": "screening", "summary": "screened", "images": 500}
    decision |= {"reason": "closest to Keras", "candidates": [*decision["candidates"], other, screened]}
    measured_folder.rewrite(folder / artifacts.MANIFEST, decisions=decisions)
    table = provenance.section(gather(folder)).tables[0]
    place = table.header.index("mean difference")
    assert [(row[0], row[place], row[-1]) for row in table.rows] == [
        ("min-max, 100 images\nchosen: closest to Keras", "3.0e-03", "chosen"),
        ("entropy, 100 images", "3.0e-03", "over all: lost"),
        ("other", "1.2e-02", "passes"),
    ]
    assert table.title == (
        f"{artifacts.INT8_ONNX}: 4 configs tried on 5,000 images; not shown: 1 farther from Keras on 500 of the images"
    )
    measured_folder.rewrite(folder / artifacts.MANIFEST, decisions=measured_folder.manifest()["decisions"])
    assert provenance.section(gather(folder)).tables[0].title.endswith("2 configs tried on 5,000 images")


def test_layer_drift_explains_only_what_it_shows(folder):
    drifted = artifacts.read_json(folder / artifacts.DRIFT)
    assert "Not found:" not in page(gather(folder))
    assert "at 20 dB the error is a tenth of the output" in page(gather(folder))
    del drifted["artifacts"][artifacts.INT8_ONNX]["layers"]["conv"]
    drifted["artifacts"][artifacts.INT8_TFLITE]["layers"] = {}
    document = DriftReport.model_validate_json(json.dumps(drifted))
    artifacts.write_json(folder / artifacts.DRIFT, drifted)
    assert "Not found:" in page(gather(folder))
    named = [text.get_text() for text in layers.draw(document).legends[0].get_texts()]
    assert named == [artifacts.FP32_ONNX, artifacts.INT8_ONNX]
