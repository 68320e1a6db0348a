"""Cause faults in turn for some minutes, and write the results to a document."""

import itertools
import signal
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.figures.soak import judge
from docs.figures.soak.faults import AT_THE_END, CAMERA, IN_ONE_LIFE, Fault
from docs.figures.soak.rig import Rig, lines_between

REST_S = 5.0
RECOVERY_S = 3.0
"""Seconds after a fault of the camera until the device has seen enough frames again."""
PUBLISHED_S = 60.0


@dataclass(frozen=True)
class Injected:
    """A fault that was caused.

    Attributes:
        lines: the device's lines on stderr during the fault.
        failure: the documented reaction that did not occur; empty if all did.
    """

    fault: Fault
    begin_s: float
    end_s: float
    lines: tuple[str, ...]
    failure: str


def soak(model: Path, minutes: float, rate: float) -> dict[str, Any]:
    """Run the device, cause each fault of ``IN_ONE_LIFE`` at least once, then the faults that end the process.

    Args:
        model: a model file.
        minutes: minimum duration of the first process.
        rate: frames per second.

    Returns:
        The document; ``faults_found`` is empty if all promises were kept.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-soak-") as name:
        rig = Rig(Path(name), model, rate)
        try:
            injected = _inject_all(rig, minutes)
            time.sleep(2 * REST_S)
            rig.end(signal.SIGTERM)
            return _document(rig, injected, rate)
        finally:
            rig.close()


def _inject_all(rig: Rig, minutes: float) -> list[Injected]:
    injected, end_s = [], time.monotonic() + minutes * 60
    for number, fault in enumerate(itertools.cycle(IN_ONE_LIFE)):
        if number >= len(IN_ONE_LIFE) and time.monotonic() > end_s:
            break
        injected.append(_inject(rig, fault))
        if rig.device.process.poll() is not None:
            return injected
    return [*injected, *(_inject(rig, fault) for fault in AT_THE_END)]


def _inject(rig: Rig, fault: Fault) -> Injected:
    device, begin_s, failure = rig.device, time.monotonic(), ""
    try:
        fault(rig)
    except AssertionError as error:
        failure = str(error)
    end_s = time.monotonic()
    lines = tuple(lines_between(device.said, begin_s, end_s))
    print(f"{fault.__name__}: {failure or 'as promised'} ({end_s - begin_s:.0f} s)", *lines, sep="\n  ", flush=True)
    time.sleep(REST_S)
    return Injected(fault, begin_s, end_s, lines, failure)


def _document(rig: Rig, injected: list[Injected], rate: float) -> dict[str, Any]:
    blind = [(each.begin_s - 1, each.end_s + RECOVERY_S) for each in injected if each.fault in CAMERA]
    first, found = rig.lives[0].device, [f"{each.fault.__name__}: {each.failure}" for each in injected if each.failure]
    due = 0
    for life in rig.lives:
        _wait_for_publishing(rig, life.topic, len(judge.events(life)))
        found += judge.event_faults(life, rig.heard(life.topic))
        ended_s = life.device.samples[-1].time_s
        expected, lost = judge.scene_faults(life.device, rig.camera.scenes, blind, ended_s)
        due += expected
        starting = (life.device.started_s, min((line.time_s for line in life.device.events), default=ended_s))
        found += [*lost, *judge.page_faults(life.device.requests, [starting, *blind])]
        found += [f"traceback: {line.text}" for line in life.device.said if "Traceback" in line.text]
    memory, (kept, kept_faults) = judge.memory(first.samples), judge.kept_faults(rig.frames)
    found += [*judge.memory_faults(memory), *kept_faults]
    span_s = first.samples[-1].time_s - first.samples[0].time_s
    return {
        "minutes": round((time.monotonic() - first.started_s) / 60, 1),
        "frames_a_second": rate,
        "frames_sent": rig.camera.sent,
        "summaries": [line.text for life in rig.lives for line in life.device.said if " classified (" in line.text],
        "scenes_that_had_to_begin_an_event": due,
        "events": sum(len(judge.events(life)) for life in rig.lives),
        "published": sum(len(rig.heard(life.topic)) for life in rig.lives),
        "requests": sum(len(life.device.requests) for life in rig.lives),
        "cores": round((first.samples[-1].busy_s - first.samples[0].busy_s) / span_s, 3),
        "memory": memory,
        "kept": kept,
        "faults": _rows(injected),
        "faults_found": found,
    }


def _rows(injected: list[Injected]) -> dict[str, dict[str, Any]]:
    """Count, for each kind of fault, how often it was caused, how often the device reacted as promised; keep lines."""
    kinds: dict[str, list[Injected]] = defaultdict(list)
    for each in injected:
        kinds[each.fault.__name__].append(each)
    return {
        name: {
            "times": len(them),
            "as_promised": sum(not each.failure for each in them),
            "most_lines": max(len(each.lines) for each in them),
            "longest_s": round(max(each.end_s - each.begin_s for each in them), 1),
            "lines": list(them[0].lines[:10]),
        }
        for name, them in kinds.items()
    }


def _wait_for_publishing(rig: Rig, topic: str, count: int) -> None:
    end = time.monotonic() + PUBLISHED_S
    while len(rig.heard(topic)) < count and time.monotonic() < end:
        time.sleep(0.2)
