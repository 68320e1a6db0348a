"""A simulated network camera that shows scenes, and can be unplugged, fall silent or truncate its frames."""

import http.server
import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline import artifacts
from pipeline.data.samples import read_test
from pipeline.errors import PipelineError
from runtime import Classifier

PLUGGED, UNPLUGGED, SILENT, CUT = "plugged", "unplugged", "silent", "cut"
SCENE_S, DOUBT_S = 6.0, 3.0
SIDE = 256
CLEAR, DOUBTFUL = 0.95, 0.6


class Scene(NamedTuple):
    """A scene that was shown.

    Attributes:
        label: the class that the model gives it; empty if the model is not confident.
        begin_s, end_s: times on the monotonic clock.
    """

    label: str
    begin_s: float
    end_s: float


class Camera:
    """A server of MJPEG by HTTP on the loopback interface.

    Args:
        model: the model file; scenes are test photos about which it is confident, and mixtures about which it is not.
        rate: frames per second.

    Attributes:
        mode: one of ``PLUGGED``, ``UNPLUGGED``, ``SILENT``, ``CUT``.
        scenes: scenes that have ended.
        sent: number of complete frames that were sent.
    """

    def __init__(self, model: Path, rate: float) -> None:
        self.mode, self.scenes, self.sent = PLUGGED, list[Scene](), 0
        self._rate, self._frame = rate, b""
        self._clear, self._doubtful = _scenes(model)
        self._stop = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if camera.mode != UNPLUGGED:
                    self.send_response(200)
                    self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                    self.end_headers()
                    with suppress(OSError):
                        for part in camera.parts():
                            self.wfile.write(part)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/mjpeg"
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._server.serve_forever, self._show)]
        for thread in self._threads:
            thread.start()

    def parts(self) -> Iterator[bytes]:
        """Yield the parts of a response's body until the camera is unplugged."""
        due_s = time.monotonic()
        while self.mode != UNPLUGGED and not self._stop.is_set():
            if self.mode != SILENT:
                frame = self._frame[: len(self._frame) // 2] if self.mode == CUT else self._frame
                self.sent += self.mode != CUT
                yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + frame + b"\r\n"
            due_s = max(due_s + 1 / self._rate, time.monotonic() - 1)
            self._stop.wait(max(0.0, due_s - time.monotonic()))

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def _show(self) -> None:
        random = np.random.default_rng(0)
        for turn in itertools.count():
            label, pixels = self._clear[turn // 2 % len(self._clear)]
            if turn % 2:
                label, pixels = "", self._doubtful[turn // 2 % len(self._doubtful)]
            # Noise makes each repetition of a scene different, so that each event is distinct.
            noisy = pixels + random.normal(0, 3, pixels.shape)
            begin_s, self._frame = time.monotonic(), _jpeg(np.clip(noisy, 0, 255).astype(np.uint8))
            if self._stop.wait(DOUBT_S if turn % 2 else SCENE_S):
                return
            self.scenes.append(Scene(label, begin_s, time.monotonic()))


def _scenes(model: Path) -> tuple[list[tuple[str, NDArray[np.uint8]]], list[NDArray[np.uint8]]]:
    """Return photos of three classes about which the model is confident, and mixtures that begin no event."""
    photos = read_test(artifacts.REFERENCE_DIR)
    with Classifier(model) as classifier:
        clear: dict[str, NDArray[np.uint8]] = {}
        for pixels in photos.pixels:
            large = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            answer = classifier.classify(_jpeg(large))
            if answer.is_confident and answer.is_known is not False and answer.probability > CLEAR:
                clear.setdefault(answer.label, large)
        pairs = itertools.combinations(clear.values(), 2)
        mixtures = (np.asarray((one.astype(int) + other) // 2, np.uint8) for one, other in pairs)
        doubtful = [mixed for mixed in mixtures if classifier.classify(_jpeg(mixed)).probability < DOUBTFUL]
    if len(clear) < 2 or not doubtful:
        raise PipelineError(f"{model}: expected a model that is sure of some test photos and unsure of mixtures")
    return list(clear.items())[:3], doubtful[:3]


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()
