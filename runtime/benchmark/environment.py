"""Describe the machine of a benchmark, and its temperature, throttling and load."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runtime import __version__
from runtime.engines.registry import OWN, find
from runtime.system.machine import examine_machine
from runtime.system.processors import processors

PACKAGES = ("numpy", "pillow")


@dataclass(frozen=True)
class Device:
    """The machine of a benchmark; ``machine`` is its architecture. Memory and governor are not always known."""

    name: str
    cpu: str
    machine: str
    features: tuple[str, ...]
    cores: int
    governor: str | None
    os: str
    python: str
    memory_mib: int | None
    emulated: bool


@dataclass(frozen=True)
class SystemState:
    """State of the machine: load average, hottest sensor, and the firmware's reports of throttling."""

    load_average: float
    temperature_c: float | None
    throttled: tuple[str, ...] | None


def describe_device() -> Device:
    """Describe this machine."""
    machine = examine_machine(Path("/"))
    return Device(
        name=machine.board or machine.processor or "unknown",
        cpu=machine.processor or "unknown",
        machine=machine.architecture,
        features=machine.features,
        cores=processors(),
        governor=machine.governor or None,
        os=machine.system,
        python=platform.python_version(),
        memory_mib=machine.memory_mib,
        emulated=machine.emulated,
    )


def conditions() -> SystemState:
    """Return the present state of this machine."""
    machine = examine_machine(Path("/"))
    return SystemState(
        load_average=os.getloadavg()[0],
        temperature_c=max(machine.celsius.values(), default=None),
        throttled=machine.throttling,
    )


def throttled(before: Iterable[str] | None, after: Iterable[str] | None) -> list[str]:
    """List the causes of throttling that are active in ``after``, or were first reported since ``before``."""
    earlier = tuple(before or ())
    return [text for text in after or () if text.endswith(" now") or text not in earlier]


def versions(*others: str) -> dict[str, str]:
    """Return the versions of this package, of ``PACKAGES``, of the installed engines, and of ``others``."""
    found = {"edgecnn": __version__}
    for name in (*PACKAGES, *(find(engine).distribution for engine in OWN), *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
