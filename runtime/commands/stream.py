"""``stream``: classify frames of a camera or of standard input; print events, or one JSON line per frame."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from runtime.camera.inbox import Frame, Inbox
from runtime.camera.pipe import Pipe
from runtime.camera.source import Source
from runtime.classifier import Classifier
from runtime.commands import FAILED, INTERRUPTED, OK, UNUSABLE, add_model, event_options
from runtime.errors import DecodingStoppedError, ImageError
from runtime.events.detector import EventSettings
from runtime.events.session import ClassifiedFrame, Listener, Session
from runtime.prediction import optional_entries
from runtime.publish.lines import EventLines
from runtime.system.signals import Stop
from runtime.text import first_bytes, plural

EPILOG = """\
An event begins when most of the last frames show a class, and ends when most no longer do; each prints a line. --frames
prints a JSON line per frame instead. Frames that arrive faster than they can be classified are dropped, the oldest
first. Broken frames are skipped. A summary is printed on stderr at the end.

exit status:
  0 the stream ended, or SIGTERM arrived; 1 no frame could be classified, 2 the model or the arguments are unusable,
  130 interrupted (Ctrl-C). After a signal the current frame is finished, and the summary is still printed

examples:
  PROGRAM stream model_int8.onnx --camera rpicam
  PROGRAM stream model_int8.onnx --camera http://camera.local/mjpeg
  ffmpeg -v error -i film.mp4 -f image2pipe -c:v mjpeg - | PROGRAM stream model_int8.onnx --every-frame
  rpicam-vid -t 0 --codec mjpeg -o - | PROGRAM stream model_int8.onnx --crop 0,120,320,240 --json"""

TICK_S = 1.0
DEFAULTS = EventSettings()


class Loop:
    """The loop that passes frames from an inbox to a session until the frames end or a signal arrives.

    Attributes:
        classified: number of classified frames.
        reason: why the last broken frame could not be classified.
    """

    def __init__(self, inbox: Inbox, session: Session, stop: Stop) -> None:
        self.classified, self.reason = 0, "cut off or damaged"
        self._inbox, self._session, self._stop = inbox, session, stop
        self._start = time.monotonic()

    def run(self, frame_line: bool) -> None:  # noqa: FBT001 - one switch
        """Classify the frames; ``frame_line``: print a JSON line for each."""
        for frame in self._inbox:
            if self._stop.number:
                return
            if frame is None:
                self._session.idle()
                continue
            try:
                classified = self._session.show(frame.content, str(frame.number))
            except DecodingStoppedError:
                return
            except ImageError as error:
                self._inbox.broken += 1
                self.reason = str(error)
                continue
            self.classified += 1
            if frame_line:
                print(_line(frame, classified, self._inbox.dropped), flush=True)

    def summary(self) -> str:
        """Format the counts of frames, for the end of the command."""
        inbox, seconds = self._inbox, max(time.monotonic() - self._start, 1e-6)
        rate = f"{self.classified / seconds:.1f}/s"
        return (
            f"{plural(inbox.seen, 'frame')} in {seconds:.1f} s: {self.classified} classified ({rate}), "
            f"{inbox.dropped} dropped, {inbox.broken} broken"
        )


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    add_model(parser)
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Register the options that ``serve`` has too."""
    parser.add_argument(
        "--camera",
        metavar="CAMERA",
        help="rpicam (runs rpicam-vid), a number such as 0 for /dev/video0 (runs ffmpeg), or an MJPEG URL "
        "http://USER:PASSWORD@…; opened again when it stops (default: read frames from stdin)",
    )
    parser.add_argument("--frames", action="store_true", help="print a JSON line per frame instead of events")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")
    parser.add_argument("--no-drop", action="store_true", help="let the sender wait instead of dropping frames")
    parser.add_argument("--every-frame", action="store_true", help="the same as --no-drop --frames")
    event_options.add(parser, DEFAULTS)


def run(options: argparse.Namespace) -> int:
    """Classify frames until the stream ends or a signal arrives."""
    return follow(options, Stop(), lambda _, __: []) if has_frames(options) else UNUSABLE


def has_frames(options: argparse.Namespace) -> bool:
    """Check that a camera is named or standard input is not a terminal; print an error if not."""
    if not options.camera and (sys.stdin is None or sys.stdin.isatty()):
        print("error: JPEG frames come on stdin: pipe them into it, or name a --camera (see --help)", file=sys.stderr)
        return False
    return True


def follow(options: argparse.Namespace, stop: Stop, more: Callable[[Classifier, Inbox], Sequence[Listener]]) -> int:
    """Classify frames until they end or a signal arrives; ``more`` creates additional listeners."""
    is_frame_line, source = options.frames or options.every_frame, source_of(options.camera, stop)
    classifier, decoder = event_options.classifier_of(options, stop.fileno())
    inbox = Inbox(every_frame=options.no_drop or options.every_frame, tick_s=TICK_S)
    lines = [] if is_frame_line else [EventLines(as_json=options.json)]
    session = event_options.session(options, classifier, [*lines, *more(classifier, inbox)], DEFAULTS.lost_after_s)
    loop = Loop(inbox, session, stop)
    inbox.start(source, time.monotonic())
    try:
        with closing(session):
            loop.run(is_frame_line)
    finally:
        source.close()
        decoder.close()
        print(loop.summary(), file=sys.stderr)
    if stop.number:
        return INTERRUPTED if stop.number == signal.SIGINT else OK
    if inbox.error:
        raise inbox.error
    if loop.classified:
        return OK
    print(f"error: {_nothing(inbox, loop.reason)}", file=sys.stderr)
    return FAILED


def source_of(camera: str | None, stop: Stop) -> Source:
    """Return the named camera, or standard input.

    Raises:
        CameraError: unknown kind of camera, or a program is missing.
    """
    if camera is None:
        return Pipe(sys.stdin.fileno(), stop)
    from runtime.camera.connect import open_camera

    return open_camera(camera, stop)


def _line(frame: Frame, classified: ClassifiedFrame, dropped: int) -> str:
    line = {
        "frame": frame.number,
        "time": round(frame.time_s, 3),
        "label": classified.prediction.label,
        "probability": classified.prediction.probability,
        "confident": classified.prediction.is_confident,
        "dropped": dropped,
    }
    return json.dumps(
        line | optional_entries(classified.prediction) | ({"repeated": True} if classified.is_repeated else {})
    )


def _nothing(inbox: Inbox, reason: str) -> str:
    """Say why no frame was classified."""
    if inbox.seen:
        return f"no frame could be decoded, the last one: {reason}"
    expected = "expected JPEG frames one after the other (see --help)"
    if not inbox.received:
        return f"stdin was empty; {expected}"
    received = f"{plural(inbox.received, 'byte')}, which begin with {first_bytes(inbox.beginning)}"
    return f"no JPEG frame in {received}; {expected}"
