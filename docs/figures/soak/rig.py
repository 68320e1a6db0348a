"""The device and all that it depends on, in a folder of its own."""

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
    """A process from its start to its end.

    Attributes:
        topic: of its events.
        log: what ``--exec`` has written, a line an event.
        ended: the signal that ended it; 0 while it runs.
    """

    device: Device
    topic: str
    log: Path
    ended: int = 0


class Rig:
    """A camera, a broker, a small disk, and a device that is started as often as need be.

    Args:
        folder: empty; it holds a mount while the rig is open.
        model: what the device runs.
        rate: frames a second of the camera.
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
        """The one that runs."""
        return self.lives[-1].device

    def set_clock(self, seconds: float) -> None:
        """Let the device's wall clock be off by so much."""
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
        """End the device; its exit status."""
        status = self.device.end(number)
        self.lives[-1] = self.lives[-1]._replace(ended=number)
        return status

    def wait_until(self, holds: Callable[[], bool], limit_s: float, missing: str) -> None:
        """Wait for something.

        Raises:
            AssertionError: it has not come within the limit, or the device has ended.
        """
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"{missing} within {limit_s:g} s")
            if self.device.process.poll() is not None:
                raise AssertionError(f"the device has ended: {[line.text for line in self.device.said[-3:]]}")
            time.sleep(0.1)

    def wait_for_line(self, text: str, since_s: float, limit_s: float) -> None:
        """Wait until the device says this on stderr."""
        self.wait_until(lambda: self.device.has_said(text, since_s), limit_s, f"no line with {text!r}")

    def wait_for_event(self, limit_s: float = 60.0) -> None:
        """Wait until something begins."""
        start = len(self.device.events)
        self.wait_until(
            lambda: any('"begins"' in line.text for line in self.device.events[start:]), limit_s, "nothing has begun"
        )

    def wait_for_write(self, limit_s: float = 60.0) -> None:
        """Return as soon as a frame is being written."""
        end = time.monotonic() + limit_s
        known = set(self.frames.iterdir())
        while not any(path.name.startswith(LEFTOVER) or path not in known for path in self.frames.iterdir()):
            if time.monotonic() > end:
                raise AssertionError(f"no frame was written within {limit_s:g} s")
            time.sleep(0.0005)

    def heard(self, topic: str) -> list[str]:
        """What was published there."""
        return [payload for at, payload in list(self.subscriber.heard) if at == topic]

    def close(self) -> None:
        """End all, and take the disk away."""
        if self.device.process.poll() is None:
            self.device.process.kill()
        self.camera.close()
        self.subscriber.close()
        self.broker.stop()
        subprocess.run(["/usr/bin/umount", "--lazy", str(self.disk)], check=False)  # noqa: S603 - a folder of ours


def lines_between(lines: list[Line], begin_s: float, end_s: float) -> list[str]:
    """The texts of those that came in that time."""
    return [line.text for line in list(lines) if begin_s <= line.time_s <= end_s]
