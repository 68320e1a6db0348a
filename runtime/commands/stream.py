"""``stream``: JPEG frames on standard input to a JSON line a frame."""

import argparse
import json
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from runtime.classifier import Classifier
from runtime.commands import FAILED, INTERRUPTED, OK, UNUSABLE, add_model
from runtime.errors import DecodingStoppedError, ImageError
from runtime.image.isolated import IsolatedDecoder
from runtime.image.mjpeg import split
from runtime.system.signals import Stop

EPILOG = """\
Frames that come faster than they can be classified are dropped, the oldest first; each line says how many so far.
A broken frame is skipped. A summary goes to stderr at the end.

exit status:
  0 the stream ended, or SIGTERM came; 1 no frame could be classified, 2 the model or the arguments are unusable,
  130 interrupted (Ctrl-C). A signal is heard after the frame at hand, and the summary is still given

examples:
  rpicam-vid -t 0 --codec mjpeg -o - | PROGRAM stream model_int8.onnx
  ffmpeg -v error -i film.mp4 -f image2pipe -c:v mjpeg - | PROGRAM stream model_int8.onnx --every-frame
  curl -s http://camera.local/mjpeg | PROGRAM stream model_int8.onnx"""

QUEUE = 2
"""Frames that may wait; more would only make the answers older."""
READ_BYTES = 1 << 18


class Frame(NamedTuple):
    """A frame as it came: its number from 1, the seconds since the start, its bytes."""

    number: int
    time_s: float
    content: bytes


class Inbox:
    """What the reading thread leaves for the classifying one."""

    def __init__(self, *, every_frame: bool) -> None:
        self.seen = self.broken = self.dropped = self.received = 0
        self.beginning = b""
        self.error: OSError | None = None
        self._every_frame = every_frame
        self._frames: deque[Frame] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def read(self, descriptor: int, start: float, stop: Stop | None = None) -> None:
        """Fill it until the stream ends or a signal comes."""
        try:
            for content in split(self._chunks(descriptor, stop)):
                self._put(content, time.monotonic() - start)
        except InterruptedError:
            pass
        except OSError as error:
            self.error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _chunks(self, descriptor: int, stop: Stop | None) -> Iterator[bytes]:
        waited_for: list[int | Stop] = [descriptor] if stop is None else [descriptor, stop]
        while True:
            if stop in _readable(waited_for):
                raise InterruptedError  # and not an end, at which the frame that has begun would be a broken one
            try:
                chunk = os.read(descriptor, READ_BYTES)
            except BlockingIOError:  # who shares a non-blocking stdin with this process has been faster
                continue
            if not chunk:
                return
            self.beginning = self.beginning or chunk[:8]
            self.received += len(chunk)
            yield chunk

    def _put(self, content: bytes | None, time_s: float) -> None:
        with self._changed:
            self.seen += 1
            if content is None:
                self.broken += 1
                return
            if self._every_frame:
                self._changed.wait_for(lambda: len(self._frames) < QUEUE)
            elif len(self._frames) == QUEUE:
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(Frame(self.seen, time_s, content))
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._ended)
                if not self._frames:
                    return
                frame = self._frames.popleft()
                self._changed.notify_all()
            yield frame


def _readable(waited_for: list[int | Stop]) -> list[int | Stop]:
    """Those that can be read from, as soon as there are any."""
    return select.select(waited_for, [], [])[0] if os.name == "posix" else []  # Windows selects sockets alone


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser)
    parser.add_argument("--every-frame", action="store_true", help="let the sender wait instead of dropping frames")


def run(options: argparse.Namespace) -> int:
    """Classify frames until the stream ends or a signal comes."""
    if sys.stdin is None or sys.stdin.isatty():
        print("error: stream reads JPEG frames from stdin: pipe a camera into it (see --help)", file=sys.stderr)
        return UNUSABLE
    stop, reason = Stop(), "cut off or damaged"
    decoder = IsolatedDecoder(stop.fileno())
    classifier = Classifier(options.model, options.threads, engine=options.engine, decoder=decoder)
    inbox, start, classified = Inbox(every_frame=options.every_frame), time.monotonic(), 0
    # A daemon, because it may be waiting for room for a frame that nobody will take.
    threading.Thread(target=inbox.read, args=(sys.stdin.fileno(), start, stop), daemon=True).start()
    try:
        for frame in inbox:
            if stop.number:
                break
            try:
                answer = classifier.classify(frame.content, top=1)
            except DecodingStoppedError:
                break
            except ImageError as error:
                inbox.broken += 1
                reason = str(error)
                continue
            classified += 1
            line = {
                "frame": frame.number,
                "time": round(frame.time_s, 3),
                "label": answer.label,
                "probability": answer.probability,
                "confident": answer.is_confident,
                "dropped": inbox.dropped,
            }
            print(json.dumps(line), flush=True)
    finally:
        decoder.close()
        seconds = max(time.monotonic() - start, 1e-6)
        print(
            f"{inbox.seen} frames in {seconds:.1f} s: {classified} classified ({classified / seconds:.1f}/s), "
            f"{inbox.dropped} dropped, {inbox.broken} broken",
            file=sys.stderr,
        )
    if stop.number:
        return INTERRUPTED if stop.number == signal.SIGINT else OK
    if inbox.error:
        raise inbox.error
    if classified:
        return OK
    print(f"error: {_nothing(inbox, reason)}", file=sys.stderr)
    return FAILED


def _nothing(inbox: Inbox, reason: str) -> str:
    """Why no frame was classified."""
    if inbox.seen:
        return f"no frame could be decoded, the last one: {reason}"
    expected = "expected JPEG frames one after the other (see --help)"
    if not inbox.received:
        return f"nothing came on stdin; {expected}"
    return f"no JPEG frame in {inbox.received:,} bytes that begin with {inbox.beginning!r}; {expected}"
