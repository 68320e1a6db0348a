"""Drift: the statistics, the sequential test, its state file, and the reports."""

import argparse
import json

import numpy as np
import pytest
from PIL import Image

from runtime import Classifier
from runtime.cli import main
from runtime.commands import doctor, event_options
from runtime.drift import monitor as monitor_module
from runtime.drift.charts import CLASS, LEARNING_DAYS, Charts
from runtime.drift.monitor import BLOCK_FRAMES, DriftMonitor
from runtime.drift.state import MAX_BYTES, DriftState, describe
from runtime.drift.statistics import appearance, mix_bin, summary
from runtime.errors import ModelSpecError, OutputError
from runtime.events.session import ClassifiedFrame
from runtime.prediction import Prediction
from runtime.spec import ModelSpec

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200
SPEC = ModelSpec(8, ("cat", "dog"), known_threshold=0.0, validation={"quantiles": {"brightness": [40.0, 90.0, 200.0]}})


def block(chance, **changes):
    """A block of usual values, except for the changes."""
    values = {"brightness": 100, "sharpness": 9, "redness": 0.1, "greenness": 0, "confidence": 0.9, "unknown": 0.05}
    spread = {"brightness": 10, "sharpness": 0.4, "redness": 0.05, "greenness": 0.02, "confidence": 0.03}
    values = {name: float(chance.normal(value, spread.get(name, 0.02))) for name, value in values.items()}
    return values | {f"{CLASS}0": 0.9, f"{CLASS}1": 0.1, f"{CLASS}2": 0.0} | changes


def learned(days=LEARNING_DAYS + 1):
    """Charts of a site that was observed an hour a day, and the time after that."""
    charts, chance = Charts(), np.random.default_rng(0)
    for day in range(days):
        for count in range(36):
            start_s = NOON + day * 86_400 + count * 100
            charts.add(block(chance), start_s, start_s + 99)
    assert not charts.alarms()
    return charts, NOON + (days - 1) * 86_400 + 3600 - 100


CHANGES = {
    "brightness-": {"brightness": 5.0, "sharpness": 9.0},
    "sharpness-": {"sharpness": 3.0},
    "redness+": {"redness": 1.1},
    "unknown+": {"unknown": 0.6},
    f"{CLASS}2+": {f"{CLASS}2": 0.9},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_within_500_frames_and_ends_when_it_is_over(name):
    charts, now_s = learned()
    chance = np.random.default_rng(1)
    charts.add(block(chance, **CHANGES[name]), now_s - 99, now_s)
    assert not charts.alarms(), "one block alone never alarms"
    for _ in range(4):
        charts.add(block(chance, **CHANGES[name]), now_s - 99, now_s)
    assert list(charts.alarms()) == [name]
    charts = Charts.from_entries(json.loads(json.dumps(charts.entries())))
    assert list(charts.alarms()) == [name]
    for _ in range(12):
        charts.add(block(chance), now_s - 99, now_s)
    assert not charts.alarms()


def test_days_of_the_same_kind_raise_no_alarm_and_the_memory_stays_of_one_size():
    charts, _ = learned(days=9)
    size = len(json.dumps(charts.entries()))
    charts, _ = learned(days=30)
    assert len(json.dumps(charts.entries())) < 1.1 * size < MAX_BYTES / 10


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"brightness": 5.0}, "darker than anything in training (brightness 5; in training 40 to 200)"),
        ({"brightness": 300.0}, "brighter than anything in training (brightness 300; in training 40 to 200)"),
        ({"unknown": 0.6}, "unknown 5% -> 60%"),
        ({f"{CLASS}2": 0.9}, "more often bird: 0% -> 90% of the frames"),
    ],
)
def test_the_sentence_says_what_has_changed(change, sentence):
    charts, now_s = learned()
    for _ in range(5):
        charts.add(block(np.random.default_rng(2), **change), now_s - 99, now_s)
    state = DriftState("m", ("cat", "dog", "bird"), {"brightness": (40.0, 200.0)}, charts)
    (found,) = state.sentences(now_s + 2 * 86_400)
    assert found.startswith("since ")
    assert found.endswith(sentence)
    assert DriftState("m").summary(0.0) == "learning what is usual here: 0 of 7 days"


class Clock:
    """Seconds, of both clocks."""

    def __init__(self):
        self.now = float(NOON)

    def __call__(self):
        return self.now


def counting(path, clock, said, spec=SPEC, audience=()):
    return DriftMonitor(spec, path, audience, said.append, clock, clock)


def show(monitor, clock, frames, brightness=100, step_s=1.0, **answer):
    pixels = np.full((8, 8, 3), brightness, np.uint8)
    prediction = Prediction("cat", 0.9, (("cat", 0.9), ("dog", 0.1)), **answer)
    for _ in range(frames):
        clock.now += step_s
        monitor.on_frame(ClassifiedFrame("frame", b"", prediction, is_repeated=False, pixels=pixels))


def test_a_restart_goes_on_and_writes_are_few(tmp_path, monkeypatch):
    clock, said, path = Clock(), [], tmp_path / "drift.json"
    writes = []
    whole = monitor_module.atomic_path
    monkeypatch.setattr(monitor_module, "atomic_path", lambda target: writes.append(target) or whole(target))
    monitor = counting(path, clock, said)
    show(monitor, clock, 10 * BLOCK_FRAMES)
    assert len(writes) == 3, "every five minutes"
    show(monitor, clock, 5 * BLOCK_FRAMES, step_s=0.01)  # frames faster than one a second count as one
    monitor.close()
    first = DriftState.read(path)
    assert first.charts.slots[24].blocks + first.charts.slots[25].blocks in {9, 10}
    monitor = counting(path, clock, said)
    show(monitor, clock, 2 * BLOCK_FRAMES)
    monitor.close()
    assert DriftState.read(path).charts.classes.blocks > first.charts.classes.blocks
    assert said == []
    counting(path, clock, said, ModelSpec(8, ("cat", "cow")))
    assert "the model has changed" in said.pop()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 9}', b"{" * 5000, b'{"version": 1, "ranges": {"a": 1}}'])
def test_a_damaged_file_is_said_and_written_anew(tmp_path, content):
    path, said = tmp_path / "drift.json", []
    path.write_bytes(content)
    with pytest.raises(OutputError, match="not a drift state file"):
        DriftState.read(path)
    counting(path, Clock(), said).close()
    assert "starting a new one" in said[0]
    assert DriftState.read(path).charts.classes.blocks == 0
    assert describe(path) == "learning what is usual here: 0 of 7 days"


def test_doctor_says_what_has_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "probe_engines", dict)
    monkeypatch.setattr(doctor, "NEEDED", {})
    charts, now_s = learned()
    for _ in range(5):
        charts.add(block(np.random.default_rng(2), unknown=0.6), now_s - 99, now_s)
    (tmp_path / "drift.json").write_bytes(DriftState("m", charts=charts).to_json())
    for name, says in (("drift.json", "unknown 5% -> 60%"), ("none.json", "no such file yet")):
        main(["doctor", "--drift", str(tmp_path / name)])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("drift ")]
        assert says in line


def test_a_folder_that_goes_is_said_once_and_a_clock_that_was_never_set_counts_nothing(tmp_path):
    clock, said, folder = Clock(), [], tmp_path / "state"
    folder.mkdir()
    monitor = counting(folder / "drift.json", clock, said)
    folder.rmdir()
    show(monitor, clock, 8 * BLOCK_FRAMES)
    monitor.close()
    assert len(said) == 1
    assert "No such file" in said[0]
    monitor = counting(tmp_path / "drift.json", clock, said)
    clock.now = 100.0
    show(monitor, clock, 2 * BLOCK_FRAMES)
    monitor.close()
    assert DriftState.read(tmp_path / "drift.json").charts.classes.blocks == 0


def test_listeners_are_told_and_the_page_s_health_says_it(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor_module, "BLOCK_FRAMES", 10)
    from runtime.camera.inbox import Inbox
    from runtime.serve.live import Live

    clock, said = Clock(), []
    live = Live(Inbox(every_frame=True), "model", clock)
    monitor = counting(tmp_path / "drift.json", clock, said, audience=(live,))
    for _ in range(LEARNING_DAYS + 1):
        show(monitor, clock, 100)
        clock.now += 86_400 - 100
    assert "drift" not in live.health()
    show(monitor, clock, 50, brightness=3)
    (sentence,) = [line for line in live.health()["drift"] if "darker" in line]
    assert "darker than anything in training" in sentence
    assert sentence in said[-1]


def test_the_picture_of_validation_is_small_and_part_of_the_spec():
    chance = np.random.default_rng(0)
    looks = [appearance(image) for image in chance.integers(0, 256, (40, 16, 16, 3), np.uint8)]
    found = summary(looks, chance.dirichlet(np.ones(1000), 40).astype(np.float32), 0.05)
    assert len(json.dumps(found)) < 1000
    assert len(found["mix"]) == 16
    assert sum(found["mix"]) == pytest.approx(1, abs=0.01)
    spec = ModelSpec(8, ("cat", "dog"), validation=found)
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert "validation" not in ModelSpec(8, ("cat", "dog")).to_json()
    assert {mix_bin(label, 1000) for label in range(1000)} == set(range(16))


@pytest.mark.parametrize(
    "wrong", [[], {}, {"quantiles": {"a": 1}}, {"quantiles": {"a": [2, 1]}}, {"quantiles": {"a": ["1", "2"]}}]
)
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(ModelSpecError, match="validation must be"):
        ModelSpec(8, ("cat", "dog"), validation=wrong)


def test_a_look_tells_light_color_and_blur_apart():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    plain = appearance(image)
    assert appearance(image // 10)["brightness"] < plain["brightness"] / 9
    assert appearance((image * [1, 1, 0.5]).astype(np.uint8))["redness"] == pytest.approx(plain["redness"] + 1, abs=0.1)
    blurred = np.asarray(Image.fromarray(image).reduce(4).resize((32, 32)))
    assert appearance(blurred)["sharpness"] < plain["sharpness"] - 3
    assert appearance(np.zeros((1, 1, 3), np.uint8)) == {"brightness": 0, "sharpness": 0, "redness": 0, "greenness": 0}


def test_the_option_counts_in_a_file(reference, tmp_path, monkeypatch):
    with Classifier(reference / "model_int8.onnx") as classifier:
        spec = classifier.spec
    built = []
    monkeypatch.setattr(event_options, "Session", lambda *parts: built.append(parts))
    parser = argparse.ArgumentParser()
    event_options.add(parser, event_options.EventSettings())
    options = parser.parse_args(["--drift", str(tmp_path / "drift.json")])
    with Classifier(reference / "model_int8.onnx") as classifier:
        event_options.session(options, classifier, [], None)
    ((_, _, listeners),) = built
    assert isinstance(listeners[0], DriftMonitor)
    listeners[0].close()
    assert DriftState.read(tmp_path / "drift.json").class_names == spec.class_names
