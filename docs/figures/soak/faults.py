"""The faults: each function causes one, waits for the documented reaction of the device, and removes the fault."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from docs.figures.soak.camera import CUT, PLUGGED, SCENE_S, SILENT, UNPLUGGED
from docs.figures.soak.rig import Rig

Fault = Callable[[Rig], None]

BACK_S = 90.0
"""Limit in seconds for the recovery: the device retries the broker and the folder for frames once a minute."""
YEAR_S = 365.0 * 24 * 3600
HALF_WRITTEN = 10_000


def broker_gone(rig: Rig) -> None:
    """Stop the broker, let it miss events, and restart it."""
    start_s = time.monotonic()
    rig.broker.stop()
    rig.wait_for_line("mqtt: ", start_s, BACK_S)
    time.sleep(2 * SCENE_S)
    back_s = time.monotonic()
    rig.broker.start()
    rig.wait_for_line("mqtt: it is back", back_s, BACK_S)


def wrong_password(rig: Rig) -> None:
    """Give the broker another password for a while."""
    start_s = time.monotonic()
    rig.broker.stop()
    rig.broker.start(password="another")  # noqa: S106 - of a broker of ours
    rig.wait_for_line("refuses", start_s, BACK_S)
    back_s = time.monotonic()
    rig.broker.stop()
    rig.broker.start()
    rig.wait_for_line("mqtt: it is back", back_s, BACK_S)


def camera_unplugged(rig: Rig) -> None:
    """Break the camera's connection, so that it cannot be opened again; the page reports it."""
    start_s = time.monotonic()
    rig.camera.mode = UNPLUGGED
    rig.wait_for_line("camera: ", start_s, 30)
    rig.wait_until(
        lambda: any(request.time_s > start_s and request.status == 503 for request in list(rig.device.requests)),
        30, "no 503 of /health",
    )  # fmt: skip
    back_s, rig.camera.mode = time.monotonic(), PLUGGED
    rig.wait_for_line("camera: it is back", back_s, 60)


def camera_silent(rig: Rig) -> None:
    """Keep the camera connected but send nothing."""
    start_s = time.monotonic()
    rig.camera.mode = SILENT
    rig.wait_for_line("has given nothing", start_s, 40)
    back_s, rig.camera.mode = time.monotonic(), PLUGGED
    rig.wait_for_line("camera: it is back", back_s, 60)


def frames_cut_off(rig: Rig) -> None:
    """Send only the first half of each frame."""
    rig.camera.mode = CUT
    time.sleep(SCENE_S)
    rig.camera.mode = PLUGGED
    rig.wait_for_event()


def disk_full(rig: Rig) -> None:
    """Delete the kept frames, and fill the disk up."""
    start_s, filler = time.monotonic(), rig.disk / "filler"
    for path in rig.frames.glob("0*"):
        path.unlink()  # otherwise the device would make space for each new frame by deleting an old one
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        rig.wait_for_line("No space left", start_s, 60)
    finally:
        back_s = time.monotonic()
        filler.unlink()
    rig.wait_for_line("keep: frames are written again", back_s, BACK_S)


def folder_gone(rig: Rig) -> None:
    """Move the folder for kept frames away and back."""
    start_s, away = time.monotonic(), rig.disk / "away"
    rig.frames.rename(away)
    rig.wait_for_line("No such file", start_s, 60)
    back_s = time.monotonic()
    away.rename(rig.frames)
    rig.wait_for_line("keep: frames are written again", back_s, BACK_S)


def clock_jumps(rig: Rig) -> None:
    """Set the wall clock forward by a year, then back by ten."""
    for seconds in (YEAR_S, -10 * YEAR_S, 0.0):
        rig.set_clock(seconds)
        rig.wait_for_event()


def terminated_while_writing(rig: Rig) -> None:
    """Send SIGTERM while a frame is written; the next start finds truncated temporary files."""
    rig.wait_for_write()
    status = rig.end(signal.SIGTERM)
    if status:
        raise AssertionError(f"exit status {status} after SIGTERM")
    for number in range(100):
        (rig.frames / f".edgecnn-{number}.jpg").write_bytes(b"\xff\xd8\xff")
    rig.start()


def power_cut(rig: Rig) -> None:
    """Send SIGKILL while a frame is written; the broker publishes that the device is offline."""
    rig.wait_for_write()
    rig.end(signal.SIGKILL)
    topic = rig.lives[-1].topic.replace("/event", "/availability")
    end = time.monotonic() + 60
    while "offline" not in rig.heard(topic):
        if time.monotonic() > end:
            raise AssertionError("the broker does not say that the device is gone")
        time.sleep(0.2)
    rig.start()


def half_written_files(rig: Rig) -> None:
    """Let ``watch`` find ten thousand truncated files, and classify the complete one after them."""
    folder, out = rig.folder / "incoming", rig.folder / "answers.jsonl"
    folder.mkdir()
    whole = next(path for path in sorted(rig.frames.iterdir()) if path.suffix == ".jpg").read_bytes()
    for number in range(HALF_WRITTEN):
        (folder / f"{number:05}.jpg").write_bytes(whole[: 200 + number % 1000])
    command = [sys.executable, "-m", "runtime", "watch", str(rig.model), str(folder), "--out", str(out)]
    with (rig.folder / "watch.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - ours
    try:
        (folder / "late.jpg").write_bytes(whole)  # the newest file, and so the last one to be processed
        rig.wait_until(lambda: out.exists() and '"late.jpg' in _names(out.read_text()), 400, "late.jpg is not named")
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    if status:
        raise AssertionError(f"watch: exit status {status} after SIGTERM")


def _names(lines: str) -> str:
    answers = [json.loads(line) for line in lines.splitlines(keepends=True) if line.endswith("\n")]
    return "".join(f'"{Path(answer["file"]).name}' for answer in answers if "label" in answer)


IN_ONE_LIFE: tuple[Fault, ...] = (
    broker_gone, wrong_password, camera_unplugged, camera_silent, frames_cut_off, disk_full, folder_gone, clock_jumps,
)  # fmt: skip
"""Faults that one process has to survive repeatedly."""
AT_THE_END: tuple[Fault, ...] = (half_written_files, terminated_while_writing, terminated_while_writing, power_cut)
CAMERA: tuple[Fault, ...] = (camera_unplugged, camera_silent, frames_cut_off)
"""Faults during which no event can begin."""
