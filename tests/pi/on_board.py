"""A bundle on emulated boards, from its archive to its rollback: ``make test-pi``, as root.

The tests run in this order on each processor; later tests use what earlier ones installed. Boards have no network, and
commands run as an ordinary user.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pi import parity, root
from pi.board import Board
from pi.page import PAGE, blocks

PREFIX = "edgecnn/current"
EDGECNN, MODELS = f"{PREFIX}/bin/edgecnn", f"{PREFIX}/models"
ONCE = "cortex-a76"
"""What takes long and depends on no processor is tried on this one alone."""
BROKER = "/usr/sbin/mosquitto"
"""Without a configuration, it listens on loopback and lets everybody in."""
DOT_PRODUCTS = {"cortex-a72": False, "cortex-a76": True}
ON_BOARD = (
    "benchmark",
    "checksum",
    "classifier",
    "cli",
    "doctor",
    "engines",
    "image",
    "image_color",
    "inspect",
    "loading",
    "many",
    "ncnn",
    "output_kind",
    "progressive",
    "verify",
)
"""Modules of tests/runtime that depend on the processor: engines, decoders, the arithmetic between them.
The others parse and check bytes in Python, start many processes or bound seconds, and run on the desk."""
LEFT_OUT = {
    "test_benchmark.py::test_bench_writes_what_it_prints": "counts runs in a second, of which an emulator has few",
}
"""Tests of these modules that are not run here, and why."""


def test_the_board_has_no_network(board):
    names = [line.split(":")[0].strip() for line in board.run("cat /proc/net/dev").splitlines()[2:]]
    assert names == ["lo"]
    connect = "import socket; socket.create_connection(('192.0.2.1', 80))"
    assert "Network is unreachable" in board.run(f'python3 -c "{connect}"', status=1)


def test_a_first_install(board, first):
    assert "PASS model_int8.onnx" in install(board, first)


def test_every_file_answers_as_it_did_where_it_was_built(board):
    answers = board.run(f"{EDGECNN} verify {MODELS}/*.onnx {MODELS}/*.tflite").splitlines()
    assert [answer.split()[0] for answer in answers] == ["PASS"] * 4


def test_doctor_knows_the_processor_and_that_it_is_emulated(board):
    report = json.loads(board.run(f"{EDGECNN} doctor {MODELS}/model_int8.onnx --json"))
    machine = report["machine"]
    assert report["well"] is True
    assert (machine["architecture"], machine["emulated"], machine["processor"]) == ("aarch64", True, board.cpu)
    assert ("asimddp" in machine["features"]) is DOT_PRODUCTS[board.cpu]


def test_bench_says_that_its_times_are_emulated(board):
    bench = f"{EDGECNN} bench {MODELS}/model_int8.onnx --threads 1 --seconds 1 --json"
    report = json.loads(board.run(f"{bench} 2>/dev/null"))  # where it says how far it is
    assert (report["device"]["emulated"], report["device"]["cpu"]) == (True, board.cpu)


def test_the_same_probabilities_as_on_the_desk(board, place, reference, desk_answers, figures):
    if not (board.home / "images").exists():
        board.take(place / "images")
    board.take(parity.SCRIPT)
    board.run(f"edgecnn/current/bin/python predict.py {MODELS} images board.npz")
    answers = parity.read(board.home / "board.npz")
    assert answers.keys() == desk_answers.keys()
    manifest = json.loads((reference / "manifest.json").read_text())
    criteria = manifest.get("criteria") or manifest["gate"]
    rows = [parity.compare(name, answers[name], desk_answers[name], criteria) for name in answers]
    figures += [{"processor": board.cpu} | row for row in rows]
    assert all(row["within"] for row in rows), parity.table([{"processor": board.cpu} | row for row in rows])


def test_labels_of_photos_are_those_of_the_desk(board, reference, photos):
    from runtime import Classifier

    answers = board.run(f"{EDGECNN} classify {MODELS}/model_fp32.onnx photos/ --json").splitlines()
    labels = {answer["file"]: answer["label"] for answer in map(json.loads, answers)}
    with Classifier(reference / "model_fp32.onnx") as classifier:
        assert labels == {f"photos/{path.name}": classifier.classify(path).label for path in photos.iterdir()}


def test_the_tests_of_the_runtime_pass(board, repository, packages_of_pytest):
    tree = board.home / "tree"
    for name in ("tests", "docs", "artifacts/reference", "pipeline"):  # which draws the photos of some tests
        shutil.copytree(repository / name, tree / name, ignore=shutil.ignore_patterns("pi", "pipeline", "__pycache__"))
    shutil.copy(repository / "pyproject.toml", tree)
    board.own(tree)
    board.take(packages_of_pytest, "pytest")
    modules = " ".join(f"tests/runtime/test_{name}.py" for name in ON_BOARD)
    skipped = " ".join(f"--deselect=tests/runtime/{name}" for name in LEFT_OUT)
    python = f"PYTHONPATH=$HOME/pytest PYTHONDONTWRITEBYTECODE=1 $HOME/{PREFIX}/bin/python"
    said = board.run(f"cd tree && {python} -m pytest {modules} -q -p no:cacheprovider -rs --durations=10 {skipped}")
    print(said, *(f"left out: {name}, {reason}" for name, reason in LEFT_OUT.items()), sep="\n")


def test_a_second_install_changes_nothing(board, first):
    before = board.run(f"ls -l {PREFIX} edgecnn/versions")
    assert "was installed already" in install(board, first)
    assert board.run(f"ls -l {PREFIX} edgecnn/versions") == before


@pytest.mark.parametrize("name", ["models/model_int8.onnx", "install.sh"])
def test_a_tampered_bundle_is_refused_and_the_file_named(board, first, name):
    folder = first.name.removesuffix(".tar.gz")
    said = board.run(f"tar -xzf {first.name} && echo >> {folder}/{name} && {folder}/install.sh", status=1)
    assert f"{name}: FAILED" in said
    said = board.run(f"{EDGECNN} verify-bundle {folder}", status=1)
    assert f"changed: {name}" in said
    board.run(f"rm -r {folder}")
    assert label(board)


def test_an_update_without_wheels_and_back_again(board, second):
    before = current(board)
    assert "photos of known labels" in install(board, second)
    assert current(board).startswith("second-")
    assert label(board)
    board.run("edgecnn/current/install.sh --rollback")
    assert current(board) == before
    assert label(board)


def test_an_install_killed_at_any_step_leaves_the_version_before(board, third):
    once(board.cpu)
    before, steps = current(board), []
    board.take(third)
    folder = third.name.removesuffix(".tar.gz")
    board.run(f"tar -xzf {third.name}")
    while current(board) == before:
        steps.append(killed_at(board, f"{folder}/install.sh", len(steps)))
        if current(board) == before:
            assert label(board), steps
    print("killed at:", *steps, sep="\n  ")
    assert len(steps) > 3
    assert install(board, third)
    assert label(board)


def test_watch_names_what_comes_and_survives_what_is_half_written(board):
    said = board.run(
        f"""mkdir incoming
        {EDGECNN} watch {MODELS}/model_int8.onnx incoming --out lines.jsonl >events.txt &
        head -c 5000 photos/hopper.jpg > incoming/late.jpg
        cp photos/00-*.jpg incoming/ship.jpg
        sleep 3
        cat photos/hopper.jpg > incoming/late.jpg
        for _ in $(seq 60); do grep -qs late lines.jsonl && break; sleep 1; done
        kill $!; wait $!; cat lines.jsonl"""
    )
    answers = {Path(answer["file"]).name: answer["label"] for answer in map(json.loads, said.splitlines())}
    assert answers.keys() == {"late.jpg", "ship.jpg"}


def test_events_are_published_and_frames_kept(board, photos):
    once(board.cpu)
    board.take(Path(__file__).with_name("listen.py"))
    mjpeg(board, photos)
    said = board.run(
        f"""{PREFIX}/bin/python listen.py >heard.txt &
        for _ in $(seq 120); do grep -qs ready heard.txt && break; sleep 0.5; done
        {EDGECNN} stream {MODELS}/model_int8.onnx --json --no-drop --votes 2/3 --min-seconds 0 --keep kept \\
          --mqtt mqtt://127.0.0.1/edgecnn/board <frames.mjpeg 2>summary.txt
        for _ in $(seq 120); do grep -qs offline heard.txt && break; sleep 0.5; done
        kill $!""",
        beside=BROKER,
    )
    events = [json.loads(line) for line in said.splitlines()]
    assert [event["event"] for event in events] == ["begins", "ends", "begins", "ends"]
    assert [event["label"] for event in events] == ["ship", "ship", "truck", "truck"]
    heard = [line.partition(" ") for line in (board.home / "heard.txt").read_text().splitlines()]
    published = [json.loads(payload) for topic, _, payload in heard if topic == "edgecnn/board/event"]
    assert [(event["event"], event["label"]) for event in published] == [
        (event["event"], event["label"]) for event in events
    ]
    assert "8 frames" in (board.home / "summary.txt").read_text()
    kept = {path.name for path in (board.home / "kept").iterdir()}
    assert kept
    assert {name.rpartition(".")[0] + ".json" for name in kept} <= kept


def test_the_page_of_the_device_answers(board, photos):
    once(board.cpu)
    board.take(Path(__file__).with_name("look.py"))
    mjpeg(board, photos)
    said = board.run(
        f"""mkfifo camera
        {EDGECNN} serve {MODELS}/model_int8.onnx <camera >events.txt 2>served.txt & pid=$!
        exec 3>camera
        cat frames.mjpeg >&3
        python3 look.py
        kill $pid; wait $pid"""
    )
    answers = json.loads(said)
    assert answers["page"].startswith("<!doctype html>")
    assert (answers["health"], answers["state"]["status"]) == (200, "ok")
    assert answers["state"]["top"][0]["label"] == "truck"
    assert answers["picture"] == ["ffd8", "ffd9"]


def test_the_commands_of_the_page_run(processor, arm64, place, repository, photos):
    once(processor)
    page = Board(place / "page", processor)
    root.copy(arm64, page.root)
    stand_in_for_the_camera(page, photos / "hopper.jpg")
    desk = a_desk(place / "desk", repository, page)
    said = []
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.place == "pi":
            said.append(f"$ {block.script}{page.run(block.script)}")
        elif block.place == "desk":
            desk(block.script)
        else:
            said.append(f"not run, {block.reason}: {block.script}")
    print(*said, sep="\n")
    assert "yes, by QEMU" in "".join(said)


def mjpeg(board, photos):
    """Frames as a camera sends them: four of a ship, then four of a truck."""
    ship, truck = (next(photos.glob(f"*-{name}.jpg")).read_bytes() for name in ("ship", "truck"))
    (board.home / "frames.mjpeg").write_bytes(ship * 4 + truck * 4)
    board.own(board.home / "frames.mjpeg")


def once(processor):
    """Skip the test on the other processor."""
    if processor != ONCE:
        pytest.skip(f"tried on {ONCE} alone: it takes long and depends on no processor")


def install(board, archive, *arguments):
    """Unpack an archive in the home folder and run its install.sh; return the output."""
    if not (board.home / archive.name).exists():
        board.take(archive)
    folder = archive.name.removesuffix(".tar.gz")
    return board.run(f"tar -xzf {archive.name} && {folder}/install.sh {' '.join(arguments)} && rm -r {folder}")


def current(board):
    """The name of the installed version."""
    return (board.home / PREFIX).readlink().name


def label(board):
    """The class that the installed version gives a photo."""
    return board.run(f"{EDGECNN} classify {MODELS}/model_int8.onnx photos/hopper.jpg --top 1")


def killed_at(board, script, lines):
    """Run a script, kill all of its processes (SIGKILL) after some lines, and return the last line."""
    process = subprocess.Popen(board.command(script), stdout=subprocess.PIPE, text=True, env=board.environment())
    last = ""
    for _ in range(lines + 1):
        last = process.stdout.readline() or last
    process.kill()
    process.communicate()
    return last.strip()


def stand_in_for_the_camera(board, photo):
    """Install replacements of the camera's programs that output a photo, or some frames."""
    programs = {
        "rpicam-still": 'for last; do :; done; cp /usr/local/share/photo.jpg "$last"',
        "rpicam-vid": "cat /usr/local/share/photo.jpg /usr/local/share/photo.jpg /usr/local/share/photo.jpg",
    }
    shutil.copy(photo, board.root / "usr/local/share/photo.jpg")
    for name, script in programs.items():
        path = board.root / "usr/local/bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def a_desk(folder, repository, board):
    """A function that runs a script in a simulated clone of the repository; scp copies files to the board."""
    folder.mkdir()
    for entry in repository.iterdir():
        if entry.name not in {".git", "build", "dist"}:
            (folder / entry.name).symlink_to(entry)
    scp = folder / "bin" / "scp"
    scp.parent.mkdir()
    scp.write_text(f'#!/bin/sh\nfor file; do case $file in pi@*) ;; *) cp "$file" {board.home} ;; esac; done\n')
    scp.chmod(0o755)
    build = "artifacts/build" if (repository / "artifacts/build/manifest.json").exists() else "artifacts/reference"
    environment = os.environ | {"PATH": f"{scp.parent}:{os.environ['PATH']}", "MAKEFLAGS": f"BUILD={build}"}

    def run(script):
        subprocess.run(["/bin/sh", "-euc", script], cwd=folder, check=True, env=environment)
        board.own(board.home)

    return run
