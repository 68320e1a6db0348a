"""What a benchmark ran on, and how that fared."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runtime import __version__
from runtime.engines.registry import OWN, find
from runtime.system.machine import examine_machine
from runtime.system.processors import processors

PACKAGES = ("numpy", "pillow")


def describe_device() -> dict[str, Any]:
    """What does not change while it is measured."""
    machine = examine_machine(Path("/"))
    return {
        "name": machine.get("board") or machine.get("processor", "unknown"),
        "cpu": machine.get("processor", "unknown"),
        "machine": machine["architecture"],
        "features": machine["features"],
        "cores": processors(),
        "governor": machine.get("governor"),
        "os": machine["system"],
        "python": platform.python_version(),
        "memory_mib": machine.get("memory_mib"),
        "emulated": machine.get("emulated", False),
    }


def conditions() -> dict[str, Any]:
    """What does: the load, the hottest sensor, and what the board's firmware says of its power."""
    machine = examine_machine(Path("/"))
    return {
        "load_average": os.getloadavg()[0],
        "temperature_c": max(machine.get("celsius", {}).values(), default=None),
        "throttled": machine.get("throttling"),
    }


def throttled(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What held the processor back between the two looks: what does now, and what first happened since."""
    earlier = before["throttled"] or []
    return [text for text in after["throttled"] or [] if text.endswith(" now") or text not in earlier]


def versions(*others: str) -> dict[str, str]:
    """Of this package and of whatever engine is installed."""
    found = {"edgecnn": __version__}
    for name in (*PACKAGES, *(find(engine).distribution for engine in OWN), *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
