"""Each check of the soak test can fail: each promise is broken once."""

import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from docs.figures.documents import marked
from docs.figures.soak import judge
from docs.figures.soak.camera import Scene
from docs.figures.soak.device import Line, Request, Sample
from docs.figures.soak.rig import Life
from docs.figures.soak.table import DOCUMENT, TITLES, soak_text
from pipeline import artifacts

EVENTS = [("begins", "ship", 0.0), ("ends", "ship", 5.25), ("begins", "frog", 0.0), ("ends", "frog", 6.5)]


def text(kind, label, seconds):
    return json.dumps({"event": kind, "label": label, "seconds": seconds})


def life(tmp_path, printed=EVENTS, run=EVENTS, ended=signal.SIGTERM):
    log = tmp_path / "exec.log"
    log.write_text("".join(f"{kind} {label} {seconds}\n" for kind, label, seconds in run))
    device = SimpleNamespace(events=[Line(10.0 * number, text(*event)) for number, event in enumerate(printed)])
    return Life(device, "topic", log, ended)


@pytest.mark.parametrize(
    ("printed", "published", "run", "fault"),
    [
        (EVENTS, EVENTS, EVENTS, None),
        (EVENTS, [*EVENTS, EVENTS[1]], EVENTS, None),  # at least once
        (EVENTS, EVENTS[:1] + EVENTS[2:], EVENTS, "not published: 1 of 4"),
        (EVENTS[1:], EVENTS, EVENTS[1:], "do not alternate"),
        (EVENTS, EVENTS, EVENTS[:3], "--exec has run 3 of 4"),
        (EVENTS, EVENTS, [EVENTS[1], EVENTS[0], *EVENTS[2:]], "another order"),
    ],
)
def test_lost_events_are_found(printed, published, run, fault, tmp_path):
    found = judge.event_faults(life(tmp_path, printed, run), [text(*event) for event in published])
    assert ([fault] if fault else []) == [fault for each in found if fault and fault in each]
    assert len(found) == (fault is not None)


def test_scenes_without_an_event_are_found(tmp_path):
    device = life(tmp_path, [EVENTS[0], EVENTS[1], EVENTS[0], EVENTS[1]]).device
    device.started_s = 0.0
    scenes = [Scene("ship", 15, 21), Scene("", 21, 24), Scene("frog", 24, 30), Scene("frog", 40, 46)]
    due, faults = judge.scene_faults(device, scenes, [(39, 50)], 100)
    assert due == 2
    assert "1 of 2 scenes" in faults[0]
    assert "frog" in faults[0]


@pytest.mark.parametrize(("a_second", "grows"), [(0, False), (1000, False), (5000, True)])
def test_memory_that_grows_is_found(a_second, grows):
    samples = [Sample(second, 100_000_000 + a_second * second, 0) for second in range(3600)]
    assert bool(judge.memory_faults(judge.memory(samples))) is grows


def test_a_request_that_fails_is_found():
    requests = [Request(1, "/", 200), Request(2, "/health", 503), Request(9, "/", 0, "refused")]
    assert judge.page_faults(requests, [(1, 3)]) == ["1 of 3 requests failed: ['/: 0 refused']"]


def test_kept_files_that_are_not_whole_are_found(tmp_path):
    for name in ("1-a", "2-a", "3-a"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{name}.jpg")
        (tmp_path / f"{name}.json").write_text("{}")
    assert judge.kept_faults(tmp_path)[1] == []
    (tmp_path / "1-a.jpg").write_bytes((tmp_path / "1-a.jpg").read_bytes()[:300])
    (tmp_path / "2-a.json").unlink()
    (tmp_path / "3-a.json").write_text("{")
    said = "\n".join(judge.kept_faults(tmp_path)[1])
    for part in ("1-a.jpg is not whole", "2-a.jpg has no answer", "3-a.json is not whole"):
        assert part in said


def test_the_document_shows_the_kept_figures(repository):
    found = artifacts.read_json(repository / "docs/soak.json")
    assert marked("soak", soak_text(found)) in (repository / DOCUMENT).read_text(encoding="utf-8")


def test_each_fault_has_a_title():
    from docs.figures.soak.faults import AT_THE_END, IN_ONE_LIFE

    assert {fault.__name__ for fault in (*IN_ONE_LIFE, *AT_THE_END)} == {*TITLES}
    row = {"times": 1, "as_promised": 1, "most_lines": 2, "longest_s": 3.4, "lines": []}
    found = {
        "minutes": 60.2, "frames_a_second": 30.0, "scenes_that_had_to_begin_an_event": 9, "events": 20,
        "published": 21, "requests": 1000, "memory": {}, "faults": {"disk_full": row}, "faults_found": [],
    }  # fmt: skip
    assert "| disk of kept frames is full | 1 | 1 | 3 s |" in soak_text(found).replace("  ", " ").replace("  ", " ")
