"""Check a device's output, files, messages and memory against the promises of the documents."""

import json
import signal
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docs.figures.soak.camera import Scene
from docs.figures.soak.device import Device, Request, Sample
from docs.figures.soak.rig import KEEP_MEGABYTES, Life
from runtime.system.writing import LEFTOVER

Window = tuple[float, float]

LATE_S = 3.0
"""An event may be reported up to this many seconds after its scene has ended."""
WARM_UP_S = 60.0
MAX_GROWTH = 4 << 20
"""The median memory of the last quarter may exceed that of the second quarter by this many bytes."""
NAMED = 10


def events(life: Life) -> list[dict[str, Any]]:
    """Return the events that a process printed."""
    return [json.loads(line.text) for line in life.device.events if line.text.startswith("{")]


def event_faults(life: Life, published: Iterable[str]) -> list[str]:
    """List events that were printed in a wrong order, not published, or not passed to ``--exec`` in order."""
    printed = [(event["event"], event["label"], event["seconds"]) for event in events(life)]
    kinds = [kind for kind, _, _ in printed]
    faults = []
    expected = ["begins", "ends"] * (len(kinds) // 2 + 1)
    if kinds != expected[: len(kinds)]:
        faults.append(f"begins and ends do not alternate: {kinds[:NAMED]}")
    if life.ended == signal.SIGKILL:  # the last event may not have been published yet
        printed = printed[:-2]
    heard = Counter(_key(json.loads(payload)) for payload in published)
    lost = Counter(printed) - heard
    if lost:
        faults.append(f"not published: {lost.total()} of {len(printed)}: {list(lost)[:NAMED]}")
    run = [tuple(line.split(" ")) for line in life.log.read_text(encoding="utf-8").splitlines()]
    told = [(kind, label, str(seconds)) for kind, label, seconds in printed]
    if run[: len(told)] != told or (len(run) > len(told) and life.ended != signal.SIGKILL):
        faults.append(f"--exec has run {len(run)} of {len(told)} events, or in another order")
    return faults


def _key(event: dict[str, Any]) -> tuple[str, str, float]:
    return event["event"], event["label"], event["seconds"]


def scene_faults(
    device: Device, scenes: Sequence[Scene], blind: Sequence[Window], end_s: float
) -> tuple[int, list[str]]:
    """Count the scenes that had to begin an event, and list those that did not.

    Args:
        device: the device.
        scenes: the scenes that the camera has shown.
        blind: times during which the camera did not work.
        end_s: time at which the device was ended.
    """
    begun = [(line.time_s, json.loads(line.text)["label"]) for line in device.events if '"begins"' in line.text]
    first_s = begun[0][0] if begun else end_s
    due = [
        scene
        for scene in scenes
        if scene.label
        and first_s < scene.begin_s
        and scene.end_s + LATE_S < end_s
        and not any(start < scene.end_s and scene.begin_s < end for start, end in blind)
    ]
    lost = [
        scene
        for scene in due
        if not any(label == scene.label and scene.begin_s <= at <= scene.end_s + LATE_S for at, label in begun)
    ]
    named = [f"{scene.label} {scene.begin_s - device.started_s:.0f} s after the start" for scene in lost[:NAMED]]
    return len(due), [f"{len(lost)} of {len(due)} scenes began no event: {named}"] if lost else []


def memory(samples: Sequence[Sample]) -> dict[str, float]:
    """Compute the median memory of the second and the last quarter, in MB, and the slope after the warm-up."""
    kept = [sample for sample in samples if sample.time_s >= samples[0].time_s + WARM_UP_S]
    if len(kept) < 8:
        return {}
    quarter = len(kept) // 4
    second, last = kept[quarter : 2 * quarter], kept[-quarter:]
    hours = np.array([sample.time_s for sample in kept]) / 3600
    slope = np.polyfit(hours - hours[0], [sample.family / 1e6 for sample in kept], 1)[0]
    return {
        "second_quarter_mb": round(statistics.median(sample.family for sample in second) / 1e6, 2),
        "last_quarter_mb": round(statistics.median(sample.family for sample in last) / 1e6, 2),
        "highest_mb": round(max(sample.family for sample in kept) / 1e6, 2),
        "slope_mb_an_hour": round(float(slope), 3),
        "minutes": round((kept[-1].time_s - kept[0].time_s) / 60, 1),
    }


def memory_faults(found: dict[str, float]) -> list[str]:
    """Return a message if memory grew by more than ``MAX_GROWTH``."""
    growth = found.get("last_quarter_mb", 0) - found.get("second_quarter_mb", 0)
    return [f"memory grew by {growth:.1f} MB"] if growth > MAX_GROWTH / 1e6 else []


def page_faults(requests: Sequence[Request], blind: Sequence[Window]) -> list[str]:
    """List failed requests; status 503 is right while the camera does not work."""
    bad = [
        request
        for request in requests
        if request.status != 200
        and not (request.status == 503 and any(start <= request.time_s <= end for start, end in blind))
    ]
    named = [f"{request.path}: {request.status} {request.reason}" for request in bad[:NAMED]]
    return [f"{len(bad)} of {len(requests)} requests failed: {named}"] if bad else []


def kept_faults(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Count the kept frames, and list incomplete files and an excess over the allowed size."""
    faults, total = [], 0
    names = {path.name for path in folder.iterdir() if not path.name.startswith(LEFTOVER)}
    for name in sorted(names):
        path = folder / name
        total += path.stat().st_size
        try:
            if path.suffix == ".json":
                json.loads(path.read_bytes())
                continue
            Image.open(path).load()
        except (OSError, ValueError) as error:
            faults.append(f"{name} is not whole: {error}")
        if path.with_suffix(".json").name not in names:
            faults.append(f"{name} has no answer beside it")
    if total > KEEP_MEGABYTES * 10**6:
        faults.append(f"{total:,} bytes are kept, {KEEP_MEGABYTES} MB were allowed")
    return {"files": len(names), "bytes": total}, faults[:NAMED]
