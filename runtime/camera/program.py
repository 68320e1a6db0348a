"""Read a camera through another program: ``rpicam-vid`` of Raspberry Pi OS, or ``ffmpeg`` for USB cameras."""

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator

from runtime.camera.source import SILENT_S
from runtime.errors import CameraError
from runtime.system.signals import Stop

READ_BYTES = 1 << 18
TAIL_BYTES = 2000
END_S = 2.0
"""Seconds that a program may take to end before it is killed."""


def commands(name: str) -> list[list[str]]:
    """Return command lines that write a camera's frames to stdout as JPEG, in the order in which to try them.

    Raises:
        CameraError: unknown kind of camera, or the program is not installed.
    """
    if name == "rpicam":
        for program in ("rpicam-vid", "libcamera-vid"):
            if shutil.which(program):
                return [[program, "-n", "-t", "0", "--codec", "mjpeg", "-o", "-"]]
        raise CameraError("rpicam-vid is not installed: sudo apt install rpicam-apps (Raspberry Pi OS)")
    if not re.fullmatch(r"\d{1,3}|/dev/video\d{1,3}", name):
        raise CameraError(
            f"no such kind of camera: {name[:80]!r}; expected rpicam, a number such as 0 (/dev/video0), or http://…"
        )
    if not shutil.which("ffmpeg"):
        raise CameraError("ffmpeg, which reads USB cameras, is not installed: sudo apt install ffmpeg")
    device = name if name.startswith("/") else f"/dev/video{name}"
    read, write = ["ffmpeg", "-v", "error", "-nostdin", "-f", "v4l2"], ["-f", "image2pipe", "-"]
    return [
        # Most cameras send JPEG themselves; passing it on takes no processor time.
        [*read, "-input_format", "mjpeg", "-i", device, "-c:v", "copy", *write],
        [*read, "-i", device, "-c:v", "mjpeg", "-q:v", "3", *write],
    ]


class ProgramConnection:
    """A running program that writes frames to its stdout.

    Raises:
        CameraError: it cannot be started.
    """

    def __init__(self, command: list[str], stop: Stop, silent_s: float = SILENT_S) -> None:
        self._name, self._stop, self._silent_s, self._tail = command[0], stop, silent_s, b""
        try:
            # A new session keeps Ctrl-C from the program; this process ends it.
            self._process = subprocess.Popen(  # noqa: S603 - one of ours, without a shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise CameraError(f"{self._name} cannot be started: {error.strerror}") from error

    def chunks(self) -> Iterator[bytes]:
        """Implement ``Connection``."""
        process = self._process
        assert process.stdout  # noqa: S101 - pipes both
        assert process.stderr  # noqa: S101
        with process.stdout, process.stderr:
            yield from self._read(process.stdout.fileno(), process.stderr.fileno())

    def _read(self, frames: int, messages: int) -> Iterator[bytes]:
        stop = self._stop
        open_ones = {frames, messages}
        last_s = time.monotonic()
        while True:
            waited_for: list[int | Stop] = [*open_ones, stop]
            left_s = last_s + self._silent_s - time.monotonic()
            readable = select.select(waited_for, [], [], max(0.0, left_s))[0]
            if stop in readable:
                raise InterruptedError
            if not readable or (left_s <= 0 and frames not in readable):  # messages on stderr do not count as frames
                raise CameraError(f"{self._name} has given nothing for {self._silent_s:g} s")
            if messages in readable:
                text = os.read(messages, READ_BYTES)
                self._tail = (self._tail + text)[-TAIL_BYTES:]
                open_ones -= set() if text else {messages}
            if frames in readable:
                chunk = os.read(frames, READ_BYTES)
                if not chunk:
                    raise CameraError(self._ended(messages if messages in open_ones else None))
                yield chunk
                last_s = time.monotonic()

    def close(self) -> None:
        """Implement ``Connection``: terminate the program, and kill it after ``END_S``."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self, messages: int | None) -> str:
        self.close()
        if messages is not None:
            os.set_blocking(messages, False)
            self._tail += _rest(messages)
        lines = self._tail.decode(errors="replace").strip().splitlines()
        status = self._process.returncode
        return f"{self._name} has ended" + (f": {lines[-1].strip()[:200]}" if lines else f" (exit status {status})")


def _rest(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:
        return b""
