"""The measurement: its statistics, its processes, and ``bench`` as a command."""

import argparse
import itertools
import json
import os
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from called import call
from runtime.benchmark import measuring, timed_model, workers
from runtime.benchmark.contenders import Contender, contenders, find_models, thread_counts
from runtime.benchmark.document import Missing
from runtime.benchmark.environment import throttled
from runtime.benchmark.measuring import ROUNDS, measure
from runtime.benchmark.photo import PARTS
from runtime.benchmark.run import benchmark
from runtime.benchmark.statistics import Latency, Ratio, images_per_s, latency_us, ratio
from runtime.benchmark.table import format_benchmark
from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.benchmark.workers import Worker, WorkerError
from runtime.cli import main
from runtime.commands import bench as bench_command
from runtime.commands import duration
from runtime.engines.registry import Engine
from runtime.errors import ModelFileNotFoundError, ModelFormatError
from runtime.system.machine import Machine

WORKER = """\
import os, sys, time
import numpy as np
from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.benchmark.worker import serve

class Odd(TimedModel):
    def warm_up(self, limit_s):
        {warm_up}

def run(pixels):
    {run}
    return np.full((len(pixels), 2), 0.5, np.float32)

def load():
    {load}
    return Odd(run, np.zeros((4, 8, 8, 3), np.uint8), Facts("noise"))

serve(load)
"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A function that makes a contender whose process misbehaves; it is started once."""
    monkeypatch.setattr(measuring, "STARTS", 1)
    (tmp_path / "odd.model").write_bytes(b"model")

    def make(load="pass", run="pass", warm_up="return 0.001", backend="odd"):
        path = tmp_path / f"{backend}.py"
        path.write_text(WORKER.format(load=load, run=run, warm_up=warm_up))
        command = (sys.executable, str(path))
        return Contender(backend, "Odd Engine", tmp_path / "odd.model", 1, command, install="pip install odd")

    return make


def bench(*arguments):
    return call("bench", *arguments)


def test_percentiles_and_spread_of_what_is_known():
    figures = latency_us([[1_000, 2_000, 3_000], [4_000, 5_000, 6_000]])
    assert figures == Latency(3.5, 5.5, 5.95, 6.0, pytest.approx(1.5 / 3.5), 6)
    assert images_per_s([[1_000_000], [1_000_000, 3_000_000]], batch=8) == pytest.approx((8_000 + 4_000) / 2)


def test_the_interval_covers_the_true_ratio_nineteen_times_in_twenty():
    random, hits, times = np.random.default_rng(1), 0, 300
    for number in range(times):
        mood = random.lognormal(0, 0.5, ROUNDS)  # of the machine: it hits both sides of a round
        ours, theirs = (mood * random.lognormal(0, 0.05, ROUNDS) for _ in range(2))
        found = ratio(1.3 * ours, theirs, seed=number)
        hits += found.low <= 1.3 <= found.high
        assert found.low <= found.value <= found.high
        assert found.high - found.low < 0.2  # although rounds lie apart by half
    assert 0.90 <= hits / times <= 0.99


def test_a_contender_is_as_fast_as_itself():
    values = np.random.default_rng(2).lognormal(10, 1, ROUNDS)
    assert ratio(values, values) == Ratio(1.0, 1.0, 1.0)
    twins = np.random.default_rng(3).lognormal(10, 0.1, (2, ROUNDS))
    found = ratio(*twins)
    assert found.low <= 1 <= found.high


def test_warm_up_ends_when_runs_take_as_long_as_before(monkeypatch):
    blocks = iter([[9_000], [5_000], [4_900], [1]])
    monkeypatch.setattr(TimedModel, "time", lambda *_: next(blocks))
    assert TimedModel(len, np.zeros((1, 8, 8, 3), np.uint8), Facts("noise")).warm_up() == 4.9e-6
    assert next(blocks) == [1]


def test_batches_are_made_of_the_images_in_turn():
    seen = []
    subject = TimedModel(seen.append, np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2, 1), Facts("numbers"))
    assert len(subject.time(2, 3)) == 3
    firsts = [[int(image[0, 0, 0]) // 4 for image in batch] for batch in seen]
    assert firsts == [[0, 1]] * 4  # one more than is timed
    seen.clear()
    subject.time(64, 1)
    assert [len(batch) for batch in seen] == [64, 64]


def test_a_process_tells_its_own_memory_and_start(odd):
    ballast = np.ones(100_000_000, np.uint8)
    worker = Worker(odd(load="time.sleep(0.2)").command)
    told = worker.startup
    worker.close()
    assert 200 <= told.load_ms <= told.first_result_ms <= told.cold_start_ms
    assert 10 * 2**20 < told.peak_memory_bytes < ballast.nbytes
    assert (told.images, told.accuracy) == ("noise", None)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"load": "raise ValueError('no such weights')"}, "ValueError: no such weights"),
        ({"load": "os.kill(os.getpid(), 4)"}, "illegal instruction.*pip install --force-reinstall odd"),
        ({"load": "sys.exit(3)"}, "ended with status 3"),
        ({"warm_up": "os.kill(os.getpid(), 9)"}, "memory ran out"),
    ],
)
def test_a_contender_that_fails_is_a_row_and_the_others_go_on(odd, trouble, reason):
    report = benchmark([odd(**trouble, backend="bad"), odd(backend="good")], seconds=1)
    bad, good = report.contenders
    assert bad.missing.failed is True
    assert bad.latency_us is None
    with pytest.raises(WorkerError, match=reason):
        raise WorkerError(bad.missing.reason)
    assert good.missing is None
    assert good.latency_us.runs >= ROUNDS
    assert good.ratio_to_best.value == 1
    assert f"odd.model  Odd Engine: FAILED: {bad.missing.reason}" in format_benchmark(report)


def test_no_contender_is_started_into_the_last_memory(odd, monkeypatch):
    free = iter([4_000, 100])
    monkeypatch.setattr(measuring, "examine_machine", lambda _: Machine("", "", "", memory_available_mib=next(free)))
    first, second = measure([odd(backend="one"), odd(backend="two")], seconds=1)[0]
    assert first.reason is None
    assert second.reason == "not started: only 100 MiB of memory are available: use fewer files or --threads 1"


def test_a_contender_that_never_answers_is_given_up(odd, monkeypatch):
    monkeypatch.setattr(workers, "ANSWER_S", 1)
    with pytest.raises(WorkerError, match="no answer within 1 s"):
        Worker(odd(run="time.sleep(60)").command)


@pytest.mark.parametrize(
    ("run_s", "batch", "rounds"), [(1e-4, 64, 10), (2e-3, 64, 3), (2e-3, 8, 10), (0.01, 8, 6), (1, 8, 3)]
)
def test_large_batches_of_a_slow_network_take_no_longer_than_single_images(run_s, batch, rounds):
    one = measuring.Measured(None, seconds=run_s)
    assert measuring.batch_rounds(one, batch, 1 / ROUNDS) == rounds


def test_batches_are_timed_in_the_first_rounds_alone(monkeypatch):
    turns = []
    monkeypatch.setattr(measuring, "_attempt", lambda _turn, _one, batch, _turn_s: turns.append(batch))
    measuring.take_turns([measuring.Measured(None, seconds=1e-4)], 1 / ROUNDS, lambda _line: None)
    assert [turns.count(batch) for batch in (1, 8, 64)] == [ROUNDS, measuring.BATCH_ROUNDS, measuring.BATCH_ROUNDS]


def test_the_time_left_is_that_of_each_contenders_own_turns(monkeypatch):
    """A slow and a fast contender: their batches, which only the first rounds have, take most of the time."""
    now, messages = 0.0, []

    def turn(_turn, one, batch, _turn_s):
        nonlocal now
        now += one.seconds * batch + 0.01
        one.rounds[batch].append([1])

    monkeypatch.setattr(measuring, "_attempt", turn)
    monkeypatch.setattr(measuring, "time", SimpleNamespace(monotonic=lambda: now))
    both = [measuring.Measured(None, seconds=seconds) for seconds in (0.02, 1e-4)]
    measuring.take_turns(both, 1 / ROUNDS, lambda line: messages.append((now, line)))
    assert "left" not in messages[0][1]
    for at, line in messages[1:]:
        (said,) = re.findall(r"about (\d+) s left", line)
        assert abs(int(said) - (now - at)) < 1, line


def test_all_contenders_take_turns_in_shuffled_rounds(odd, monkeypatch):
    turns = []
    ask = Worker.ask

    def listen(worker, call, **arguments):
        if call == "time":
            turns.append((id(worker), arguments["batch"]))
        return ask(worker, call, **arguments)

    monkeypatch.setattr(Worker, "ask", listen)
    seen, _ = measure([odd(backend="one"), odd(backend="two")], seconds=1)
    assert all(len(one.rounds[1]) == ROUNDS for one in seen)
    for one in seen:
        assert measuring.FEWEST_BATCH_ROUNDS <= len(one.rounds[64]) <= measuring.BATCH_ROUNDS
    singles = [worker for worker, batch in turns if batch == 1]
    pairs = [tuple(singles[index : index + 2]) for index in range(0, len(singles), 2)]
    assert {len(set(pair)) for pair in pairs} == {2}
    assert len(set(pairs)) == 2


def test_an_engine_that_is_not_installed_is_a_row_with_a_remedy(monkeypatch, reference):
    absent = Engine("absent", "Absent Engine", (".onnx",), "absent is not installed", "pip install absent")
    monkeypatch.setattr("runtime.benchmark.contenders.engines", lambda: [absent])
    report = benchmark(contenders([reference / "model_int8.onnx"], (1, 2)), seconds=1)
    (row,) = report.contenders
    assert row.missing == Missing("absent is not installed", "pip install absent", failed=False)
    assert "Absent Engine: absent is not installed: pip install absent" in format_benchmark(report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engines", "litert", "onnx"], "no engine is called 'onnx': there are onnxruntime, litert, openvino, ncnn"),
        (["--engines", "litert"], "nothing to measure: none of the chosen engines reads any of the files"),
    ],
)
def test_engines_that_cannot_be_measured_are_refused(reference, arguments, message):
    done = bench(reference / "model_int8.onnx", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {message}")


def test_only_the_chosen_engines_take_part(reference):
    files = [reference / "model_int8.onnx", reference / "model_int8.tflite"]
    listed = contenders(files, (1, 2), ["onnxruntime", "litert"])
    assert {(each.artifact.name, each.backend) for each in listed} == {
        ("model_int8.onnx", "onnxruntime"),
        ("model_int8.tflite", "litert"),
    }
    assert {each.backend for each in contenders(files[:1], (1,))} == {"onnxruntime", "openvino"}


def test_threads_double_up_to_all_cores(monkeypatch):
    for cores, counts in {1: (1,), 2: (1, 2), 4: (1, 2, 4), 6: (1, 2, 4, 6)}.items():
        monkeypatch.setattr("runtime.benchmark.contenders.processors", lambda cores=cores: cores)
        assert thread_counts() == counts


def test_files_are_found_in_folders(reference, tmp_path):
    assert reference / "model_int8.onnx" in find_models([reference])
    assert find_models([reference / "model.keras"]) == [reference / "model.keras"]
    with pytest.raises(ModelFormatError, match="no engine reads"):
        contenders([reference / "model.keras"], (1,))
    for name in (tmp_path, tmp_path / "none.onnx"):
        with pytest.raises(ModelFileNotFoundError, match=r"expected .*\.onnx"):
            find_models([name])


def test_a_run_that_was_throttled_says_so():
    cool, hot = ("throttled since boot",), ("throttled since boot", "throttled now")
    assert throttled(cool, cool) == []
    assert throttled(cool, hot) == ["throttled now"]
    assert throttled(None, cool) == ["throttled since boot"]
    assert throttled(None, None) == []


@pytest.fixture
def started_once(monkeypatch):
    """Contenders start once and classify the photo in one round: no figure is judged."""
    monkeypatch.setattr(measuring, "STARTS", 1)
    monkeypatch.setattr(measuring, "PHOTO_ROUNDS", 1)


@pytest.mark.slow
@pytest.mark.usefixtures("started_once")
def test_bench_writes_what_it_prints(carrying, tmp_path, monkeypatch, capsys):
    model = carrying("model_int8.onnx", tolerance=0.05)
    out = tmp_path / "device.json"
    reports = []
    monkeypatch.setattr(
        bench_command,
        "benchmark",
        lambda *given, **options: reports.append(benchmark(*given, **options)) or reports[-1],
    )
    arguments = ["bench", str(model), "--engines", "onnxruntime", "--threads", "1,2", "--seconds", "0.2"]
    arguments += ["--out", str(out)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    report = json.loads(out.read_text())
    assert (report["format"], report["version"]) == ("edgecnn-benchmark", 1)
    assert report["settings"]["image_source"] == "golden set"
    assert {"load_average", "temperature_c", "throttled"} <= set(report["conditions"]["after"])
    row = next(row for row in report["contenders"] if row["backend"] == "onnxruntime")
    assert (row["artifact"], row["threads"], row["missing"], row["bytes"]) == (
        model.name,
        1,
        None,
        len(model.read_bytes()),
    )
    latency = row["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["worst"]
    assert latency["runs"] >= 20  # a second has thousands; a loaded machine few
    assert row["golden"]["passed"] is True
    assert row["accuracy_images"] == 5_000
    assert set(row["images_per_s"]) == {"1", "8", "64"}
    assert row["ratio_to_keras"] is None
    one, two = (row for row in report["end_to_end"] if row["backend"] == "onnxruntime")
    assert (one["threads"], two["threads"]) == (1, 2)
    assert all(whole[f"{part}_us"] > 0 for whole in (one, two) for part in PARTS)
    assert "Photo to label in ms (1920x1080 JPEG)" in text
    assert text.count("ONNX Runtime x2") == 4  # latency, ratios, costs, photo
    assert max(map(len, text.splitlines()[1:])) <= 80
    monkeypatch.setattr(bench_command, "benchmark", lambda *_, **__: reports[0])
    assert main([*arguments, "--json"]) == 0
    assert json.loads(out.read_text()) == json.loads(capsys.readouterr().out) == report


@pytest.mark.slow
@pytest.mark.usefixtures("started_once")
def test_files_that_differ_from_when_they_were_built_are_told(carrying, tmp_path, capsys):
    odd = carrying("model_int8.onnx", shift=0.01)
    changed = tmp_path / "changed.onnx"
    shutil.copy(odd, changed)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {changed.name: {"sha256": "0" * 64}}}))
    assert main(["bench", str(odd), str(changed), "--threads", "1", "--seconds", "0.2"]) == 1
    shown = capsys.readouterr().out
    assert "differs from its golden set by 1.0e-02" in shown
    assert "FAILED: " in shown
    assert "changed since export" in shown


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "a while", ""])
def test_an_invalid_time_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number of seconds above 0, got"):
        duration(text)
    assert duration("0.2") == 0.2


def test_a_short_measurement_warms_up_as_shortly(monkeypatch):
    model, now = TimedModel(len, np.zeros((1, 8, 8, 3), np.uint8), Facts("noise")), itertools.count()
    blocks = itertools.cycle([[9_000], [5_000]])
    monkeypatch.setattr(TimedModel, "time", lambda *_: next(blocks))
    monkeypatch.setattr(timed_model, "time", SimpleNamespace(monotonic=lambda: next(now) / 10))
    model.warm_up(0.35)
    assert next(now) == 5  # the start, and four blocks
    model.warm_up(60)
    assert next(now) == 38


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx"], "none.onnx: no model file there"),
        ([os.devnull], "no model file there"),
        ([__file__], "no engine reads files of this suffix"),
        (["reference", "--out", "none/device.json"], "none/device.json: no such folder"),
        (["reference", "--photo", __file__], f"{__file__}: not a photo that can be read"),
    ],
)
def test_what_cannot_be_measured_is_one_line(reference, arguments, message):
    done = bench(*(reference / "model_int8.onnx" if argument == "reference" else argument for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
