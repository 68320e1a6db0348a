"""``tune``, the file that it writes, and the commands that use it."""

import json
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from called import call
from runtime import (
    BackendUnavailableError,
    Classifier,
    ModelDigestError,
    ModelFileNotFoundError,
    ModelFormatError,
)
from runtime.benchmark.contenders import thread_counts
from runtime.benchmark.tuning import Candidate, Loaded, Race, Timed, race, reason, select
from runtime.benchmark.tuning_report import describe, format_tuning
from runtime.engines.registry import engines
from runtime.system.machine import Machine
from runtime.tuning import Tuning


@pytest.fixture
def folder(reference, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    for name in ("model_int8.onnx", "model_fp32.onnx"):
        shutil.copy(reference / name, models)
    return models


@pytest.fixture
def chosen(folder):
    """A function: write a ``runtime.json`` that chooses the fp32 file, with other entries if wanted."""
    import hashlib

    digest = hashlib.sha256((folder / "model_fp32.onnx").read_bytes()).hexdigest()

    def write(**changes):
        entries = {"format": "edgecnn-runtime", "version": 1, "artifact": "model_fp32.onnx", "sha256": digest}
        entries |= {"engine": "onnxruntime", "threads": 2} | changes
        (folder / "runtime.json").write_text(json.dumps(entries))
        return folder

    return write


def test_without_a_choice_the_default_or_the_only_model_is_taken(folder):
    assert Classifier(folder).path == folder / "model_int8.onnx"
    (folder / "model_int8.onnx").unlink()
    classifier = Classifier(str(folder))
    assert (classifier.path.name, classifier.threads, classifier.backend) == ("model_fp32.onnx", 1, "onnxruntime")
    shutil.copy(folder / "model_fp32.onnx", folder / "other.onnx")
    with pytest.raises(
        ModelFileNotFoundError, match=r"which of model_fp32\.onnx, other\.onnx\? Name one, or let .*tune"
    ):
        Classifier(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("no model")
    with pytest.raises(ModelFileNotFoundError, match=r"no \.onnx, \.tflite, \.ncnn files in it"):
        Classifier(folder)


def test_the_choice_of_a_folder_is_taken_and_can_be_overruled(chosen):
    classifier = Classifier(chosen())
    assert (classifier.path.name, classifier.threads, classifier.backend) == ("model_fp32.onnx", 2, "onnxruntime")
    again = pickle.loads(pickle.dumps(classifier))  # noqa: S301 - our own
    assert (again.path, again.threads) == (classifier.path.absolute(), 2)
    assert Classifier(chosen(), threads=1).threads == 1
    assert Classifier(chosen(engine="gone"), engine="onnxruntime").backend == "onnxruntime"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": "edgecnn-runtime", "version": 1}',
        '{"format": "edgecnn-runtime", "version": 2, "artifact": "a", "engine": "b", "threads": 1, "sha256": ""}',
        '{"format": "edgecnn-runtime", "version": 1, "artifact": "a", "engine": "b", "threads": 0, "sha256": ""}',
        '{"format": "edgecnn-runtime", "version": 1, "artifact": "../a", "engine": "b", "threads": 1, "sha256": ""}',
        '{"format": "edgecnn-runtime", "version": 1, "artifact": "a", "engine": 3, "threads": 1, "sha256": ""}',
        '{"format": "edgecnn-runtime", "version": 1, "artifact": "a", "engine": "b", "threads": 1, "sha256": 5}',
        '{"format": "other", "version": 1, "artifact": "a", "engine": "b", "threads": 1, "sha256": ""}',
    ],
)
def test_a_choice_that_tune_did_not_write_is_refused(folder, text):
    (folder / "runtime.json").write_text(text)
    with pytest.raises(ModelFormatError, match=r"runtime\.json: not what tune of this version writes .*: run .* again"):
        Classifier(folder)


def test_a_choice_of_what_is_gone_or_changed_is_refused(chosen, monkeypatch):
    with pytest.raises(
        ModelFileNotFoundError, match=r"runtime\.json: names gone\.onnx, which does not exist: run .*tune"
    ):
        Classifier(chosen(artifact="gone.onnx"))
    with pytest.raises(ModelDigestError, match=r"model_fp32\.onnx: changed since it was tuned: run .*tune"):
        Classifier(chosen(sha256="0" * 64))
    with pytest.raises(BackendUnavailableError, match=r"no engine is called 'gone'.*; or tune .* again"):
        Classifier(chosen(engine="gone"))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailableError, match=r"OpenVINO.*: pip install openvino; or tune .* again"):
        Classifier(chosen(engine="openvino"))


def timed(p50_us, precision="int8", accuracy=0.85, **others):
    """A contender with this latency in every round, within half a percent."""
    size, suffix, threads = others.get("size", 600), others.get("suffix", ".onnx"), others.get("threads", 1)
    path = SimpleNamespace(suffix=suffix, stat=lambda: SimpleNamespace(st_size=size))
    spec = SimpleNamespace(precision=precision, accuracy=accuracy)
    classifier = SimpleNamespace(path=path, spec=spec, threads=threads)
    return Timed(Loaded(classifier, "Engine"), p50_us * np.random.default_rng(0).uniform(0.995, 1.005, 15))


def test_the_fastest_is_chosen_and_ties_go_to_the_better():
    slow, fast = timed(50), timed(40, accuracy=0.80)
    assert select([slow, fast]) is fast
    better = timed(40.2, accuracy=0.81)
    assert select([slow, fast, better]) is better
    smaller = timed(40.3, accuracy=0.81, size=500)
    assert select([slow, fast, better, smaller]) is smaller
    fewer = timed(40.1, accuracy=0.81, size=500, threads=2)
    assert select([fewer, smaller]) is smaller
    assert select([timed(40, accuracy=None), fast]) is fast


def test_the_reason_is_a_sentence_of_what_was_measured():
    int8, fp32, other = timed(40), timed(56, "fp32"), timed(50, suffix=".tflite", threads=2)
    without = "this CPU has no dot-product instructions"
    sentence = reason([Race([fp32, other, int8], int8)], ["avx2"])
    assert sentence == f"int8 ONNX on Engine, 1 thread: 1.4 x as fast as fp32; {without}"
    sentence = reason([Race([int8, other], int8)], ["asimd", "asimddp"])
    assert sentence.startswith("int8 ONNX on Engine, 1 thread: 1.2 x as fast as int8 TFLite on Engine, 2 threads; ")
    assert sentence.endswith("; this CPU has int8 dot products (asimddp)")
    assert "the only one whose golden set passes; this" in reason([Race([int8], int8)], [])
    float_tie = timed(40.1, "fp32", accuracy=0.86)
    assert "as fast as int8 within the noise, and more accurate;" in reason([Race([int8, float_tie], float_tie)], [])
    assert "as fast as fp32 within the noise, and no larger;" in reason([Race([int8, timed(40.1, "fp32")], int8)], [])
    larger = timed(40.1, "fp32", size=2000)
    assert "as fast as fp32 within the noise, and smaller;" in reason([Race([int8, larger], int8)], [])


def test_the_reason_names_whom_the_best_ties_with_in_the_last_race():
    one, fp32, two = timed(40), timed(56, "fp32"), timed(39.8, threads=2)
    first = Race([one, fp32], one)
    assert select([two, one]) is one
    sentence = reason([first, Race([two, one], one)], [])
    assert "as fast as int8 ONNX on Engine, 2 threads within the noise, and with fewer threads;" in sentence
    assert "1.4 x as fast as fp32;" in reason([first, Race([timed(60, threads=2), one], one)], [])


def test_a_few_disturbed_rounds_are_no_tie():
    one, two = timed(180), timed(100, threads=2)
    two.medians_us[[3, 8, 11]] = 185
    assert select([one, two]) is two
    sentence = reason([Race([one], one), Race([one, two], two)], [])
    assert "1.8 x as fast as int8 ONNX on Engine, 1 thread;" in sentence


def test_after_a_race_only_its_best_stays_loaded(folder, monkeypatch):
    monkeypatch.setattr("runtime.benchmark.tuning.thread_counts", lambda: [1, 2])
    engine = next(each for each in engines() if each.name == "onnxruntime")
    passing = [Candidate(path, engine, passed=True, reason="") for path in sorted(folder.glob("*.onnx"))]
    races = race(passing, 0.001, print)
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    for each in [row for found in races for row in found.timed if row.contender is not races[-1].best.contender]:
        with pytest.raises(ValueError, match="closed"):
            each.contender.classifier.predict(pixels)
    assert len(races[-1].best.contender.classifier.predict(pixels)) == 1


def test_times_are_printed_by_race_because_only_those_of_one_compare():
    def loaded(p50_us, threads):
        row = timed(p50_us, threads=threads)
        row.contender.classifier.backend = "engine"
        row.contender.classifier.path.name = "model.onnx"
        row.contender.classifier.path.read_bytes = lambda: b"model"
        return row

    one, two = loaded(200, 1), loaded(110, 2)
    again = Timed(one.contender, one.medians_us / 2)
    machine = Machine("Debian 12", "aarch64", "3.11.2, 64-bit", board="Pi", features=("asimd",), emulated=True)
    choice = describe([Race([one], one), Race([two, again], again)], machine, 3.0)
    assert choice.threads == 1
    assert choice.device == {"board": "Pi", "features": ("asimd",), "emulated": True}
    assert Tuning.from_json(choice.to_json().encode()).to_json() == choice.to_json()
    assert [(row.race, row.threads) for row in choice.tried] == [(1, 1), (2, 1), (2, 2)]
    printed = format_tuning(choice, Path("models"))
    assert "load average 3.0, EMULATED; compare only rows of one race:" in printed
    assert choice.reason in printed


@pytest.mark.slow
def test_a_folder_is_tuned_and_then_run_as_chosen(folder, carrying, images):
    shutil.move(carrying("model_int8.onnx", shift=0.1), folder / "other.onnx")
    (folder / "cut.onnx").write_bytes((folder / "model_int8.onnx").read_bytes()[:-9])
    done = call("tune", folder, "--seconds", 0.3)
    assert done.returncode == 0, done.stderr
    document = json.loads((folder / "runtime.json").read_text())
    *_, sentence, written = done.stdout.splitlines()
    assert sentence == document["reason"]
    assert written == f"Written: {folder / 'runtime.json'}"
    assert "left out: other.onnx on ONNX Runtime: FAIL " in done.stderr
    assert f"left out: cut.onnx on ONNX Runtime: {folder / 'cut.onnx'}: damaged" in done.stderr
    times = {(row["artifact"], row["engine"], row["threads"]): row["p50_us"] for row in document["tried"]}
    assert {name for name, *_ in times} == {"model_int8.onnx", "model_fp32.onnx"}
    assert {threads for *_, threads in times} == set(thread_counts())
    assert (document["artifact"], document["engine"], document["threads"]) in times
    classifier = Classifier(folder)
    assert (classifier.path.name, classifier.backend) == (document["artifact"], document["engine"])
    assert classifier.threads == document["threads"]
    assert classifier.predict(images[0]).shape == (25, 10)
    assert call("inspect", folder).stdout.splitlines()[0].endswith(document["artifact"])


def test_a_folder_in_which_nothing_passes_keeps_what_it_had(folder, carrying):
    for path in folder.iterdir():
        path.unlink()
    shutil.move(carrying("model_int8.onnx", shift=0.1), folder / "other.onnx")
    done = call("tune", folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == f"error: {folder}: no golden set passes; nothing is written"
    assert [path.name for path in folder.iterdir()] == ["other.onnx"]


def test_a_folder_without_models_is_refused(tmp_path):
    done = call("tune", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: no model file there; expected ")
    done = call("tune", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'none'}: not a folder; expected one with model files\n"


def test_models_that_are_not_one_are_refused(folder, archived):
    pytest.importorskip("ncnn", reason="NCNN is not installed")
    from runtime.benchmark.tuning import _images

    classifiers = [Classifier(folder / "model_int8.onnx"), Classifier(archived(np.eye(4, 3)))]
    with pytest.raises(ValueError, match="are not one model: their input sizes or classes differ"):
        _images([Loaded(classifier, "Engine") for classifier in classifiers])
