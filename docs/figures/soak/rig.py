"""The test rig: the device with its camera, broker and disk, in a folder of its own."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from docs.figures.soak.broker import PASSWORD, USER, Broker, Subscriber
from docs.figures.soak.camera import Camera
from docs.figures.soak.device import Device, Line
from runtime.system.writing import LEFTOVER

DISK_BYTES, KEEP_MEGABYTES = 4 << 20, 1
HOOK = """\
#!/bin/sh
printf '%s %s %s\\n' "$1" "$2" "$EDGECNN_SECONDS" >> "$SOAK_LOG"
"""


class Life(NamedTuple):
    """The lifetime of one process of the device.

    Attributes:
        device: the process.
        topic: MQTT topic of its events.
        log: file that ``--exec`` writes, a line for each event.
        ended: the signal that ended it; 0 while it runs.
    """

    device: Device
    topic: str
    log: Path
    ended: int = 0


class Rig:
    """A camera, a broker, a small disk, and a device that can be started repeatedly.

    Args:
        folder: an empty folder; it contains a mount while the rig is open.
        model: the model file of the device.
        rate: frames per second of the camera.
    """

    def __init__(self, folder: Path, model: Path, rate: float) -> None:
        self.model = model.resolve()
        self.clock, self.hook, self.disk = folder / "clock", folder / "hook", folder / "disk"
        self.folder, self.frames = folder, self.disk / "frames"
        self.lives: list[Life] = []
        self.set_clock(0)
        self.hook.write_text(HOOK, encoding="ascii")
        self.hook.chmod(0o755)
        self.disk.mkdir()
        options = f"size={DISK_BYTES}"
        subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", options, "none", str(self.disk)], check=True)  # noqa: S603 - a folder of ours
        self.camera = Camera(model, rate)
        self.broker = Broker(folder / "broker")
        self.subscriber = Subscriber(self.broker.port)
        self.start()

    @property
    def device(self) -> Device:
        """The current device."""
        return self.lives[-1].device

    def set_clock(self, seconds: float) -> None:
        """Shift the device's wall clock by this many seconds."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds), encoding="ascii")
        new.replace(self.clock)

    def start(self) -> None:
        """Start the device, and wait for its first event."""
        topic, log = f"edgecnn/soak-{len(self.lives)}", self.folder / f"exec-{len(self.lives)}.log"
        log.touch()
        broker = f"mqtt://{USER}@127.0.0.1:{self.broker.port}/{topic}"
        arguments = ["serve", str(self.model), "--camera", self.camera.address, "--port", "0", "--json"]
        arguments += ["--min-probability", "0.7", "--threads", "1", "--exec", str(self.hook), "--mqtt", broker]
        arguments += ["--keep", str(self.frames), "--keep-megabytes", str(KEEP_MEGABYTES)]
        device = Device(arguments, self.clock, {"EDGECNN_MQTT_PASSWORD": PASSWORD, "SOAK_LOG": str(log)})
        self.lives.append(Life(device, f"{topic}/event", log))
        self.wait_for_event()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the device with a signal; return its exit status."""
        status = self.device.end(number)
        self.lives[-1] = self.lives[-1]._replace(ended=number)
        return status

    def wait_until(self, holds: Callable[[], bool], limit_s: float, missing: str) -> None:
        """Wait until ``holds`` returns true; ``missing`` describes the condition in the error.

        Raises:
            AssertionError: the limit has passed, or the device has ended.
        """
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"{missing} within {limit_s:g} s")
            if self.device.process.poll() is not None:
                raise AssertionError(f"the device has ended: {[line.text for line in self.device.said[-3:]]}")
            time.sleep(0.1)

    def wait_for_line(self, text: str, since_s: float, limit_s: float) -> None:
        """Wait until the device prints a line that contains ``text`` on stderr."""
        self.wait_until(lambda: self.device.has_said(text, since_s), limit_s, f"no line with {text!r}")

    def wait_for_event(self, limit_s: float = 60.0) -> None:
        """Wait until an event begins."""
        start = len(self.device.events)
        self.wait_until(
            lambda: any('"begins"' in line.text for line in self.device.events[start:]), limit_s, "nothing has begun"
        )

    def wait_for_write(self, limit_s: float = 60.0) -> None:
        """Wait until a frame is being written.

        Raises:
            AssertionError: the limit has passed.
        """
        end = time.monotonic() + limit_s
        known = set(self.frames.iterdir())
        while not any(path.name.startswith(LEFTOVER) or path not in known for path in self.frames.iterdir()):
            if time.monotonic() > end:
                raise AssertionError(f"no frame was written within {limit_s:g} s")
            time.sleep(0.0005)

    def heard(self, topic: str) -> list[str]:
        """Return the payloads that were published under a topic."""
        return [payload for at, payload in list(self.subscriber.heard) if at == topic]

    def close(self) -> None:
        """End all processes and unmount the disk."""
        if self.device.process.poll() is None:
            self.device.process.kill()
        self.camera.close()
        self.subscriber.close()
        self.broker.stop()
        subprocess.run(["/usr/bin/umount", "--lazy", str(self.disk)], check=False)  # noqa: S603 - a folder of ours


def lines_between(lines: list[Line], begin_s: float, end_s: float) -> list[str]:
    """Return the texts of the lines that arrived between two times."""
    return [line.text for line in list(lines) if begin_s <= line.time_s <= end_s]
