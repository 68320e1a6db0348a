"""Describe this machine: processor, memory, temperature and clock governor, as the kernel reports them."""

import os
import platform
import struct
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CPU_FEATURES = {
    "avx2": "256-bit integers",
    "avx512_vnni": "int8 dot products, 512 bits",
    "avx_vnni": "int8 dot products, 256 bits",
    "asimd": "Neon",
    "asimddp": "int8 dot products",
    "i8mm": "int8 matrix products",
}
"""Processor features that int8 kernels use, by their names in /proc/cpuinfo."""

HWCAPS = {"asimd": (16, 1), "asimddp": (16, 20), "i8mm": (26, 13)}
"""Arm features in /proc/self/auxv: type of the entry (AT_HWCAP, AT_HWCAP2), bit."""

CORES = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
"""Cores of the Raspberry Pi 3, 4 and 5 by the part number in /proc/cpuinfo, which gives no name."""

THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of the Raspberry Pi firmware's status word (vcgencmd get_throttled); the bit 16 higher: since boot."""


@dataclass(frozen=True)
class Machine:
    """A machine as its kernel describes it; texts are empty and numbers ``None`` where the kernel says nothing.

    Attributes:
        system: name and release of the operating system.
        architecture: as ``platform.machine`` names it.
        python: version and word size.
        board: model of the board.
        processor: name of the processor, or of its cores.
        processors: number of cores.
        features: the names in ``CPU_FEATURES`` that the processor has.
        memory_mib, memory_available_mib: memory, and the part of it that programs can still get, in MiB.
        celsius: sensor -> temperature in °C.
        governor: clock governor of the first core.
        throttling: the firmware's reports; ``None`` if it gives none.
        emulated: whether the processor is emulated by QEMU.
    """

    system: str
    architecture: str
    python: str
    board: str = ""
    processor: str = ""
    processors: int | None = None
    features: tuple[str, ...] = ()
    memory_mib: int | None = None
    memory_available_mib: int | None = None
    celsius: dict[str, float] = field(default_factory=dict)
    governor: str = ""
    throttling: tuple[str, ...] | None = None
    emulated: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, without unknown ones; ``emulated`` only if it is true."""
        fields = {**asdict(self), "emulated": self.emulated or None}
        return {name: value for name, value in fields.items() if value not in (None, "", {})}


def examine_machine(root: Path) -> Machine:
    """Read processor, memory and temperature from the kernel's files under ``root``."""
    cpuinfo = _read(root / "proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {name.strip().lower(): value.strip() for name, value in fields.items()}
    emulated = "qemu" in _own_program(root)
    flags = _hwcaps(root) if emulated else f"{fields.get('flags', '')} {fields.get('features', '')}".split()
    memory = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines() if ":" in line)
    mebibytes = {name: int(memory[name].split()[0]) // 1024 for name in ("MemTotal", "MemAvailable") if name in memory}
    release = dict(line.split("=", 1) for line in _read(root / "etc/os-release").splitlines() if "=" in line)
    board = _read(root / "proc/device-tree/model").strip("\0\n")
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    celsius = {_read(zone / "type").strip() or zone.name: _read(zone / "temp").strip() for zone in zones}
    governor = _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    throttled = _read(root / "sys/devices/platform/soc/soc:firmware/get_throttled").strip()
    processor = fields.get("model name", CORES.get(fields.get("cpu part", ""), ""))
    return Machine(
        system=release.get("PRETTY_NAME", platform.system()).strip('"'),
        architecture=platform.machine(),
        python=f"{platform.python_version()}, {'64' if sys.maxsize > 2**32 else '32'}-bit",
        board=board,
        processor=os.environ.get("QEMU_CPU", "") if emulated else processor,
        processors=os.cpu_count(),
        features=tuple(name for name in CPU_FEATURES if name in flags),
        memory_mib=mebibytes.get("MemTotal"),
        memory_available_mib=mebibytes.get("MemAvailable"),
        celsius={name: int(value) / 1000 for name, value in celsius.items() if value.lstrip("-").isdecimal()},
        governor=governor,
        throttling=throttling(throttled) if throttled else None,
        emulated=emulated,
    )


def throttling(word: str) -> tuple[str, ...]:
    """Decode the Raspberry Pi firmware's hexadecimal status word into texts, one per set bit."""
    try:
        bits = int(word, 16)
    except ValueError:
        return (f"unknown ({word[:20]!r})",)
    now = (f"{text} now" for bit, text in THROTTLED.items() if bits >> bit & 1)
    return (*now, *(f"{text} since boot" for bit, text in THROTTLED.items() if bits >> (bit + 16) & 1))


def _hwcaps(root: Path) -> list[str]:
    # QEMU may show the host's /proc/cpuinfo, but its auxiliary vector is that of the emulated processor.
    content = (root / "proc/self/auxv").read_bytes()
    vector = dict(struct.iter_unpack("@NN", content))
    return [name for name, (entry, bit) in HWCAPS.items() if vector.get(entry, 0) >> bit & 1]


def _own_program(root: Path) -> str:
    # QEMU replaces the link /proc/self/exe by the emulated program, but not this longer path to the same link.
    try:
        return str((root / f"proc/self/task/{os.getpid()}/exe").readlink())
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
