"""``--keep``: which frames are kept, the size limit, and disk failures."""

import errno
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from runtime import keep
from runtime.errors import OutputError
from runtime.events.session import ClassifiedFrame
from runtime.prediction import Prediction

MODEL = {"model": "model.onnx", "model_sha256": "0" * 64}


def never():
    """A random source that chooses no frame."""
    return 1.0


def frame(label="a", probability=0.9, *, content=b"x" * 1000, is_repeated=False, is_confident=True):
    top = ((label, probability), ("other", 1 - probability))
    return ClassifiedFrame("7", content, Prediction(label, probability, top, is_confident), is_repeated)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def start(tmp_path):
    """A function that starts a keeper on a folder; returns it, its clock and its messages."""
    keepers = []

    def make(max_bytes=10**6, draw=never, folder=tmp_path / "kept"):
        clock, said = Clock(), []
        keepers.append(keep.FrameKeeper(folder, max_bytes, MODEL, said.append, clock, draw))
        return keepers[-1], clock, said

    yield make
    for keeper in keepers:
        keeper.close()


def show(keeper, clock, *frames, step_s=2.0):
    """Show frames, and wait until those to keep are written."""
    for shown in frames:
        clock.now += step_s
        keeper.on_frame(shown)
        wait(keeper)


def wait(keeper):
    end = time.monotonic() + 60
    while keeper._jobs or keeper._is_busy:  # noqa: SLF001 - no other sign
        assert time.monotonic() < end
        time.sleep(0.002)


def pictures(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".json")


def reasons(folder):
    return [name.split("-")[2].split(".")[0] for name in pictures(folder)]


def test_doubtful_frames_are_kept_with_their_answers(start, tmp_path):
    keeper, clock, _ = start()
    sure, unsure, doubtful = frame(), frame(probability=0.55), frame(is_confident=False)
    show(keeper, clock, sure, sure, unsure, doubtful, frame("b"), frame("b"), frame(is_repeated=True))
    folder = tmp_path / "kept"
    assert reasons(folder) == ["unsure", "unsure", "changed"]
    answers = [json.loads((folder / name).with_suffix(".json").read_text()) for name in pictures(folder)]
    assert [answer["label"] for answer in answers] == ["a", "a", "b"]
    assert answers[0].items() >= {"reason": "unsure", "probability": 0.55, "frame": "7", **MODEL}.items()
    assert (folder / pictures(folder)[0]).read_bytes() == b"x" * 1000
    assert folder.stat().st_mode & 0o077 == 0


def test_at_most_one_a_second_is_written_and_those_by_chance_are_not_crowded_out(start, tmp_path):
    draws = iter([1.0] * 5 + [0.0] + [1.0] * 1000)
    keeper, clock, _ = start(draw=lambda: next(draws))
    show(keeper, clock, *[frame(probability=0.5)] * 33, step_s=0.125)
    assert Counter(reasons(tmp_path / "kept")) == {"unsure": 4, "random": 1}


def test_a_fixed_share_is_kept_by_chance(start, tmp_path):
    import random

    keeper, clock, _ = start(draw=random.Random(1).random)  # noqa: S311 - no secret
    for _ in range(20_000):
        clock.now += 2
        keeper.on_frame(frame())
        wait(keeper)
    assert 8 <= reasons(tmp_path / "kept").count("random") <= 34


def test_the_folder_stays_within_its_bound_and_the_oldest_go(start, tmp_path, monkeypatch):
    keeper, clock, _ = start(max_bytes=10_000)
    (tmp_path / "kept" / "mine.jpg").write_bytes(bytes(50_000))
    folder = tmp_path / "kept"
    for year in (2026, 1970, 2030):  # whatever the clock says
        monkeypatch.setattr(keep.time, "gmtime", lambda year=year: time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0)))
        show(keeper, clock, *[frame(probability=0.5)] * 10)
        ours = [path for path in folder.iterdir() if path.name != "mine.jpg"]
        assert sum(path.stat().st_size for path in ours) <= 10_000
    numbers = [int(name.split("-")[0]) for name in pictures(folder) if name != "mine.jpg"]
    assert numbers == list(range(31 - len(numbers), 31))
    assert len(numbers) >= 5
    show(keeper, clock, frame(probability=0.5, content=bytes(20_000)))
    assert [int(name.split("-")[0]) for name in pictures(folder) if name != "mine.jpg"] == numbers


def test_a_restart_goes_on_and_clears_what_was_half_written(start, tmp_path):
    keeper, clock, _ = start()
    show(keeper, clock, frame(probability=0.5), frame(probability=0.5))
    keeper.close()
    for number in range(300):
        (tmp_path / "kept" / f".edgecnn-{number}.jpg").write_bytes(b"half")
    (tmp_path / "kept" / "00000009-20261127T140211Z-unsure.json").write_text("{}")
    again, clock, _ = start()
    show(again, clock, frame(probability=0.5))
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert [name.split("-")[0] for name in names if name.endswith(".jpg")] == ["00000001", "00000002", "00000010"]
    assert not [name for name in names if name.startswith(".")]


def test_a_folder_that_is_removed_is_one_line_and_is_written_to_again_when_it_is_back(start, tmp_path):
    keeper, clock, said = start()
    show(keeper, clock, frame(probability=0.5))
    shutil.rmtree(tmp_path / "kept")
    show(keeper, clock, *[frame(probability=0.5)] * 5)
    clock.now += keep.PAUSE_S
    show(keeper, clock, frame(probability=0.5))
    assert len(said) == 1
    assert "No such file or directory; no frame is written" in said[0]
    assert not (tmp_path / "kept").exists()  # or an unplugged disk would fill the card below it
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "00000050-20261127T140211Z-unsure.jpg").write_bytes(b"of another disk")
    clock.now += keep.PAUSE_S
    show(keeper, clock, frame(probability=0.5))
    assert said[1:] == ["keep: frames are written again"]
    assert [name.split("-")[0] for name in pictures(tmp_path / "kept")] == ["00000050", "00000051"]


def test_a_photo_that_cannot_be_read_holds_up_no_other(start, tmp_path):
    keeper, clock, said = start()
    show(keeper, clock, frame(probability=0.5, content=tmp_path / "moved.jpg"), frame(probability=0.5))
    assert said == ["keep: 7 is not kept: No such file or directory"]
    assert len(pictures(tmp_path / "kept")) == 1


def test_the_numbers_grow_where_there_is_room_for_one_frame_alone(start, tmp_path):
    keeper, clock, _ = start(max_bytes=2000)
    show(keeper, clock, *[frame(probability=0.5)] * 3)
    assert [name.split("-")[0] for name in pictures(tmp_path / "kept")] == ["00000003"]


def test_a_full_disk_leaves_no_half_file(start, tmp_path, monkeypatch):
    keeper, clock, said = start()
    write = keep.Path.write_bytes

    def full(path, content):
        write(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keep.Path, "write_bytes", full)
    show(keeper, clock, *[frame(probability=0.5)] * 5)
    monkeypatch.undo()
    assert list((tmp_path / "kept").iterdir()) == []
    clock.now += keep.PAUSE_S
    show(keeper, clock, frame(probability=0.5))
    assert [text.split(";")[0].rpartition(": ")[2] for text in said] == [
        "No space left on device",
        "frames are written again",
    ]
    assert len(pictures(tmp_path / "kept")) == 1


def test_a_slow_disk_does_not_hold_up_the_frames(start, monkeypatch):
    keeper, clock, _ = start()
    written, is_free = [], threading.Event()
    monkeypatch.setattr(keeper, "_write", lambda job: written.append(job) or is_free.wait())
    for _ in range(100):
        clock.now += 2
        keeper.on_frame(frame(probability=0.5))
    assert len(written) <= 1
    is_free.set()
    wait(keeper)
    assert len(written) == 1


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "no" / "such"):
        with pytest.raises(OutputError):
            keep.FrameKeeper(place, 1000, MODEL)


def test_a_process_that_is_killed_again_and_again_leaves_whole_pictures_alone(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from runtime import keep; "
        "from runtime.prediction import Prediction; "
        "from runtime.events.session import ClassifiedFrame; keep.EVERY_S = 0; print('on', flush=True); "
        "k = keep.FrameKeeper(Path(sys.argv[1]), 3 * 10**6, {}); "
        "s = ClassifiedFrame('1', bytes(10**6), Prediction('a', .5, (('a', .5), ('b', .5))), False)\n"
        "while True: k.on_frame(s); time.sleep(.001)"
    )
    for kill_after_s in (0.05, 0.1, 0.15):
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(kill_after_s)
            process.kill()
        for name in pictures(tmp_path):
            if not name.startswith("."):
                assert (tmp_path / name).stat().st_size == 10**6
                json.loads((tmp_path / name).with_suffix(".json").read_text())


def test_watch_keeps_what_it_doubts(reference, images, tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    pixels, labels = images
    for label in ("horse", "ship"):
        Image.fromarray(pixels[labels.index(label)]).save(tmp_path / "photos" / f"{label}.png")
    command = [sys.executable, "-m", "runtime", "watch", str(reference / "model_int8.onnx"), str(tmp_path / "photos")]
    with subprocess.Popen([*command, "--keep", str(tmp_path / "kept")], stdout=subprocess.PIPE) as process:
        for _ in range(3):
            process.stdout.readline()
        end = time.monotonic() + 60
        while not (tmp_path / "kept").is_dir() or len(list((tmp_path / "kept").glob("0*"))) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.terminate()
    names = pictures(tmp_path / "kept")
    assert [name.rpartition("-")[2] for name in names] == ["changed.png"]
    assert len(json.loads((tmp_path / "kept" / names[0]).with_suffix(".json").read_text())["model_sha256"]) == 64
