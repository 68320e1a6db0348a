"""Options that ``stream``, ``watch`` and ``serve`` share: what counts as an event, and where events are sent."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from runtime.classifier import Classifier
from runtime.commands import positive
from runtime.errors import OutputError
from runtime.events.detector import EventDetector, EventSettings
from runtime.events.frame_classifier import Box, FrameClassifier, cropped
from runtime.events.session import Listener, Session
from runtime.image.isolated import IsolatedDecoder


def add(parser: argparse.ArgumentParser, settings: EventSettings) -> None:
    """Register the options; ``settings`` are the defaults."""
    _add_events(parser, settings)
    _add_listeners(parser)
    _add_keeping(parser)


def _add_events(parser: argparse.ArgumentParser, settings: EventSettings) -> None:
    group = parser.add_argument_group("what is an event")
    group.add_argument(
        "--votes",
        type=votes,
        metavar="K/N",
        default=(settings.votes, settings.window),
        help=f"frames of the last N that must agree (default: {settings.votes}/{settings.window})",
    )
    group.add_argument(
        "--min-seconds",
        type=number(0, 1e6),
        metavar="S",
        default=settings.min_seconds,
        help="seconds for which the frames must agree before an event begins or ends (default: "
        f"{settings.min_seconds:g})",
    )
    group.add_argument(
        "--min-probability",
        type=number(0, 1),
        metavar="P",
        default=0.0,
        help="ignore a frame whose probability is lower; frames that are not confident are always ignored (default: 0)",
    )
    group.add_argument(
        "--crop", type=box, metavar="X,Y,W,H", help="look at this part of each frame only, in pixels of the frame"
    )
    group.add_argument(
        "--min-change",
        type=number(0, 255),
        metavar="D",
        default=0.0,
        help="skip a frame if no part of it differs by this much (0-255) from the last classified frame; 5 skips a "
        "still scene (default: 0, classify all)",
    )


def _add_listeners(parser: argparse.ArgumentParser) -> None:
    outlets = parser.add_argument_group("where events are sent, besides stdout")
    outlets.add_argument(
        "--exec",
        metavar="COMMAND",
        help="run this command for each event, with two arguments added: begins or ends, and the label; without a "
        "shell, one at a time, for at most 10 s",
    )
    outlets.add_argument(
        "--mqtt",
        metavar="URL",
        help="publish to mqtt://USER:PASSWORD@HOST/PREFIX, or mqtts:// for TLS; Home Assistant finds it; the password "
        "may be in EDGECNN_MQTT_PASSWORD; needs paho-mqtt",
    )
    outlets.add_argument(
        "--mqtt-ca", metavar="FILE", type=Path, help="CA certificates to trust instead of the system's"
    )
    outlets.add_argument(
        "--drift",
        metavar="FILE",
        type=Path,
        help="file in which to store the usual frames and predictions of this place; a lasting change is reported; "
        "doctor reads the file too",
    )


def _add_keeping(parser: argparse.ArgumentParser) -> None:
    keep = parser.add_argument_group("frames for labeling")
    keep.add_argument(
        "--keep",
        metavar="DIR",
        type=Path,
        help="save unsure frames, frames at which the class changes, and one frame in a thousand at random, with their "
        "predictions; at most one per second",
    )
    keep.add_argument(
        "--keep-megabytes",
        metavar="MB",
        type=positive,
        default=200,
        help="limit for all saved frames; the oldest are deleted to make room (default: 200)",
    )


def listeners_of(options: argparse.Namespace, classifier: Classifier) -> list[Listener]:
    """Return the listeners that the options ask for; only their modules are imported.

    Raises:
        EdgecnnError: a listener cannot be set up.
    """
    outlets: list[Listener] = []
    if options.mqtt_ca is not None and not (options.mqtt or "").lower().startswith("mqtts:"):
        raise OutputError("--mqtt-ca needs --mqtt mqtts://…: mqtt:// is not encrypted")
    if options.exec is not None:
        from runtime.publish.execute import Executor

        outlets.append(Executor(options.exec))
    if options.mqtt is not None:
        from runtime.publish.mqtt import Broker, MqttPublisher

        names, model = classifier.spec.class_names, classifier.path.name
        outlets.append(MqttPublisher(Broker.of(options.mqtt), names, model, options.mqtt_ca))
    if options.keep is not None:
        from runtime.keep import FrameKeeper, model_entries

        outlets.append(FrameKeeper(options.keep, options.keep_megabytes * 10**6, model_entries(classifier.path)))
    return outlets


def classifier_of(options: argparse.Namespace, stop_fd: int) -> tuple[Classifier, IsolatedDecoder]:
    """Return the classifier that the options name, and its decoder, which the caller must close."""
    isolated = IsolatedDecoder(stop_fd)
    decoder = cropped(isolated, options.crop) if options.crop else isolated
    return Classifier(options.model, options.threads, engine=options.engine, decoder=decoder), isolated


def session(
    options: argparse.Namespace, classifier: Classifier, listeners: Sequence[Listener], lost_after_s: float | None
) -> Session:
    """Return the session that classifies frames and passes events to the listeners."""
    count, window = options.votes
    # Lines on stdout come last: if their reader is gone, the other listeners still get the end of an event.
    listeners = [*listeners_of(options, classifier), *listeners]
    if options.drift is not None:
        from runtime.drift.monitor import DriftListener, DriftMonitor

        audience = [listener for listener in listeners if isinstance(listener, DriftListener)]
        listeners.insert(0, DriftMonitor(classifier.spec, options.drift, audience))
    settings = EventSettings(
        count,
        window,
        min_seconds=options.min_seconds,
        min_probability=options.min_probability,
        lost_after_s=lost_after_s,
    )
    return Session(FrameClassifier(classifier, options.min_change), EventDetector(settings), listeners)


def votes(text: str) -> tuple[int, int]:
    """Parse votes and window, such as ``4/5``."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    try:
        settings = EventSettings(int(match[1]), int(match[2])) if match else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if settings is None:
        raise argparse.ArgumentTypeError(f"expected two whole numbers such as 4/5, got {text[:40]!r}")
    return settings.votes, settings.window


def box(text: str) -> Box:
    """Parse four whole numbers: x, y, width and height in pixels."""
    parts = text.split(",")
    if len(parts) != 4 or not all(re.fullmatch(r"\d{1,6}", part) for part in parts) or "0" in {*parts[2:]}:
        raise argparse.ArgumentTypeError(
            f"expected x,y,width,height in pixels, such as 0,120,320,240, got {text[:40]!r}"
        )
    return Box(*map(int, parts))


class number:  # noqa: N801 - used as a type of argparse, whose messages show its name
    """Argument type: a number within bounds."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> float:
        """Parse the text."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not self._low <= value <= self._high:
            raise argparse.ArgumentTypeError(f"expected a number {self._low:g} to {self._high:g}, got {text[:40]!r}")
        return value
