"""``watch`` as a process on a folder in which files appear, change and disappear."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from PIL import Image

from runtime.cli import main
from runtime.commands import watch

LIMIT_S = 60


@pytest.fixture(scope="module")
def photos(images):
    """Two photos of different classes as the bytes of JPEG files."""
    pixels, labels = images
    return {label: jpeg(pixels[labels.index(label)]) for label in ("horse", "ship")}


def jpeg(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((320, 320)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "answers.jsonl"


@contextmanager
def watching(reference, folder, out, number=signal.SIGTERM, told=b""):
    """A ``watch`` process; it must end cleanly on a signal, and report skipped files."""
    command = [sys.executable, "-m", "runtime", "watch", str(reference / "model_int8.onnx"), str(folder)]
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE) as process:
        try:
            yield process
            process.send_signal(number)
            assert (process.wait(LIMIT_S), process.stderr.read()) == (0, told)
        finally:
            process.kill()


def lines(out):
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def wait_for(out, count):
    """Wait for this number of lines, and return them."""
    end = time.monotonic() + LIMIT_S
    while len(lines(out)) < count:
        assert time.monotonic() < end, f"{len(lines(out))} lines, expected {count}"
        time.sleep(0.2)
    return lines(out)


def test_what_is_there_and_what_comes_gets_a_line(reference, folder, out, photos):
    (folder / "a.jpg").write_bytes(photos["horse"])
    (folder / "sub.jpg").mkdir()
    (folder / "notes.txt").write_text("no image")
    (folder / "._a.jpg").write_bytes(photos["horse"])
    (folder / "movie").write_bytes(b"no image")
    with watching(reference, folder, out, told=b"left out: 1 hidden, 2 other (movie, notes.txt)\n"):
        wait_for(out, 1)
        (folder / ".coming").write_bytes(photos["ship"])
        (folder / ".coming").rename(folder / "b.JPG")
        found = wait_for(out, 2)
        status = (folder / "b.JPG").stat()
        (folder / ".coming").write_bytes(photos["ship"])
        (folder / ".coming").rename(folder / "no extension")
        assert wait_for(out, 3)[2]["file"] == "no extension"
    assert [(line["file"], line["label"]) for line in found] == [("a.jpg", "horse"), ("b.JPG", "ship")]
    assert 0 < found[1]["probability"] <= 1
    assert found[1]["confident"] in {True, False}
    assert (found[1]["bytes"], found[1]["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
    assert time.strptime(found[1]["time"], "%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.slow
def test_a_file_that_is_still_written_is_waited_for(reference, folder, out, photos):
    content = photos["ship"]
    with watching(reference, folder, out):
        with (folder / "slow.jpg").open("wb") as file:
            for start in range(0, len(content), len(content) // 3 + 1):
                file.write(content[start : start + len(content) // 3 + 1])
                file.flush()
                time.sleep(1.5)
        found = wait_for(out, 1)
    assert [(line["file"], line.get("label")) for line in found] == [("slow.jpg", "ship")]


@pytest.mark.slow
def test_what_stays_unreadable_gets_a_line_that_says_so_and_another_once_it_is_whole(reference, folder, out, photos):
    (folder / "half.jpg").write_bytes(photos["ship"][:1000])
    (folder / "none.png").write_bytes(b"junk")
    with watching(reference, folder, out):
        found = wait_for(out, 2)
        (folder / "half.jpg").write_bytes(photos["ship"])
        last = wait_for(out, 3)[2]
    assert {line["file"]: "label" in line for line in found} == {"half.jpg": False, "none.png": False}
    assert "junk" in next(line["error"] for line in found if line["file"] == "none.png")
    assert (last["file"], last["label"]) == ("half.jpg", "ship")


def test_a_file_that_is_written_anew_gets_a_new_line(reference, folder, out, photos):
    (folder / "latest.jpg").write_bytes(photos["horse"])
    with watching(reference, folder, out):
        wait_for(out, 1)
        (folder / "new").write_bytes(photos["ship"])
        (folder / "new").replace(folder / "latest.jpg")
        assert [line["label"] for line in wait_for(out, 2)] == ["horse", "ship"]


def test_a_restart_goes_on_where_the_lines_end(reference, folder, out, photos):
    (folder / "a.jpg").write_bytes(photos["horse"])
    with watching(reference, folder, out, signal.SIGINT):
        wait_for(out, 1)
    os.utime(folder / "a.jpg", ns=(1, lines(out)[0]["mtime_ns"]))
    (folder / "b.jpg").write_bytes(photos["ship"])
    with out.open("a") as file:
        file.write('[]\n{"file": "b.jpg", "byt')  # killed while it wrote
    with watching(reference, folder, out):
        end = time.monotonic() + LIMIT_S
        while not out.read_text().endswith("}\n"):
            assert time.monotonic() < end
            time.sleep(0.2)
        time.sleep(2)
    text = out.read_text().splitlines()
    assert len(text) == 4
    assert json.loads(text[3])["file"] == "b.jpg"


def test_a_killed_process_has_written_whole_lines_and_nothing_is_done_twice(reference, folder, out, photos):
    names = [f"{number:02}.jpg" for number in range(30)]
    for name in names:
        (folder / name).write_bytes(photos["horse"])
    command = [
        sys.executable,
        "-m",
        "runtime",
        "watch",
        str(reference / "model_int8.onnx"),
        str(folder),
        "--out",
        str(out),
    ]
    with subprocess.Popen(command) as process:
        wait_for(out, 3)
        process.kill()
    with watching(reference, folder, out):
        wait_for(out, 30)
        time.sleep(1.5)
    assert sorted(line["file"] for line in lines(out)) == names


def test_the_lines_may_be_moved_away_while_it_watches(reference, folder, out, photos):
    (folder / "a.jpg").write_bytes(photos["horse"])
    with watching(reference, folder, out):
        wait_for(out, 1)
        out.rename(out.with_suffix(".old"))
        (folder / "b.jpg").write_bytes(photos["ship"])
        assert [line["file"] for line in wait_for(out, 1)] == ["b.jpg"]


def test_a_file_that_vanishes_between_two_looks_is_passed_over(reference, folder, monkeypatch, capsys):
    asked = iter([False, False, True])
    monkeypatch.setattr(watch, "images", lambda _: ([("gone.jpg", watch.Stamp(1, 2))], []))
    monkeypatch.setattr(watch, "Stop", type("Stop", (), {"fileno": lambda _: -1, "within": lambda _, __: next(asked)}))
    arguments = ["watch", str(reference / "model_int8.onnx"), str(folder)]
    assert main(arguments) == 0
    assert not capsys.readouterr().out


def test_no_folder_to_watch_is_an_error(reference, tmp_path):
    command = [sys.executable, "-m", "runtime", "watch", str(reference / "model_int8.onnx"), str(tmp_path / "absent")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected a folder" in done.stderr
