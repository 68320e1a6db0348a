"""``doctor``: what this machine is, and whether each engine runs on it.

Nothing that could die is imported here: each probe runs in a child process, whose death becomes a sentence.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from runtime import __version__
from runtime.commands import FAILED, OK, add_json

EPILOG = """\
With a model file, its carried images are replayed as well, in a child process.

exit status:
  0 photos can be classified here, 1 something needed is missing or dies (the line says what to do)

examples:
  PROGRAM doctor
  PROGRAM doctor model_int8.onnx"""

PROBES = {
    "numpy": ("import numpy as m; m.ones((8, 8), 'f4') @ m.ones((8, 8), 'f4')", "numpy"),
    "pillow": ("import PIL.Image as i, PIL as m; i.new('RGB', (64, 64)).resize((8, 8), 2)", "pillow"),
    "onnxruntime": ("import onnxruntime as m; m.SessionOptions()", "'onnxruntime>=1.20,!=1.21.0'"),
    "ai-edge-litert": (
        "import ai_edge_litert as m; from ai_edge_litert.interpreter import Interpreter",
        "ai-edge-litert",
    ),
}
"""A package: what to run, and what to tell pip."""
NEEDED = ("numpy", "pillow")
ENGINES = ("onnxruntime", "ai-edge-litert")
PROBE_LIMIT_S = 120

CPU_FEATURES = {
    "avx2": "256-bit integers",
    "avx512_vnni": "int8 dot products, 512 bits",
    "avx_vnni": "int8 dot products, 256 bits",
    "asimd": "Neon",
    "asimddp": "int8 dot products",
    "i8mm": "int8 matrix products",
}
"""What the int8 kernels look for, by the kernel's name in /proc/cpuinfo."""

THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of the Raspberry Pi firmware's word; 16 higher: has happened since boot (vcgencmd get_throttled)."""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="model files to replay, if wanted")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Look and tell."""
    machine = examine_machine(Path("/"))
    packages = {
        name: probe([sys.executable, "-c", f"{code}; print(m.__version__)"], install)
        for name, (code, install) in PROBES.items()
    }
    models = {path: probe([sys.executable, "-m", "runtime", "verify", path]) for path in options.models}
    well = all(packages[name]["works"] for name in NEEDED) and any(packages[name]["works"] for name in ENGINES)
    well = well and all(result["works"] for result in models.values())
    report = {"edgecnn": __version__, "machine": machine, "packages": packages, "models": models, "well": well}
    print(json.dumps(report, indent=2) if options.json else _text(report))
    return OK if well else FAILED


def examine_machine(root: Path) -> dict[str, Any]:
    """Processor, memory and heat as the kernel tells them under ``root``; what it does not tell is left out."""
    cpuinfo = _read(root / "proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {name.strip().lower(): value.strip() for name, value in fields.items()}
    flags = f"{fields.get('flags', '')} {fields.get('features', '')}".split()
    memory = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines() if ":" in line)
    mebibytes = {name: int(memory[name].split()[0]) // 1024 for name in ("MemTotal", "MemAvailable") if name in memory}
    release = dict(line.split("=", 1) for line in _read(root / "etc/os-release").splitlines() if "=" in line)
    board = _read(root / "proc/device-tree/model").strip("\0\n")
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    celsius = {_read(zone / "type").strip() or zone.name: _read(zone / "temp").strip() for zone in zones}
    governor = _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    throttled = _read(root / "sys/devices/platform/soc/soc:firmware/get_throttled").strip()
    told = {
        "system": release.get("PRETTY_NAME", platform.system()).strip('"'),
        "architecture": platform.machine(),
        "python": f"{platform.python_version()}, {'64' if sys.maxsize > 2**32 else '32'}-bit",
        "board": board,
        "processor": fields.get("model name", ""),
        "processors": os.cpu_count(),
        "features": [name for name in CPU_FEATURES if name in flags],
        "memory_mib": mebibytes.get("MemTotal"),
        "memory_available_mib": mebibytes.get("MemAvailable"),
        "celsius": {name: int(value) / 1000 for name, value in celsius.items() if value.lstrip("-").isdecimal()},
        "governor": governor,
        "throttling": throttling(throttled) if throttled else None,
    }
    return {name: value for name, value in told.items() if value not in (None, "", {})}


def throttling(word: str) -> list[str]:
    """The Raspberry Pi firmware's hexadecimal word in sentences."""
    try:
        bits = int(word, 16)
    except ValueError:
        return [f"unknown ({word[:20]!r})"]
    now = [f"{text} now" for bit, text in THROTTLED.items() if bits >> bit & 1]
    return now + [f"{text} since boot" for bit, text in THROTTLED.items() if bits >> (bit + 16) & 1]


def probe(command: list[str], install: str = "") -> dict[str, Any]:
    """Run a child; say how it went and what to do about it."""
    try:
        # As a folder copied into a project, this package is found beside the working folder of the parent.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(  # noqa: S603 - our own interpreter on our own code
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_LIMIT_S,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"works": False, "says": f"no answer within {PROBE_LIMIT_S} s"}
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    if done.returncode == 0:
        return {"works": True, "says": done.stdout.strip().splitlines()[-1]}
    if done.returncode < 0:
        return {"works": False, "says": death(-done.returncode, install)}
    if "ModuleNotFoundError" in last and install:
        return {"works": False, "says": f"not installed: pip install {install}{_word_size()}"}
    return {"works": False, "says": last.removeprefix("error: ")}


def death(number: int, install: str) -> str:
    """A sentence for the signal that killed a child, with a remedy."""
    another = f"install another version: pip install --force-reinstall {install}" if install else "run doctor alone"
    if number == signal.SIGILL:
        return f"dies of an illegal instruction: it was built for a newer processor; {another}"
    if number == signal.SIGKILL:
        return "was killed, most likely for want of memory: close other programs or add swap"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"dies of {name}: its files may be damaged; {another}"


def _word_size() -> str:
    if sys.maxsize > 2**32:
        return ""
    return "; this Python is 32-bit, for which onnxruntime has no wheels: use a 64-bit Raspberry Pi OS"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _text(report: dict[str, Any]) -> str:
    machine = dict(report["machine"])
    machine["features"] = ", ".join(f"{name} ({CPU_FEATURES[name]})" for name in machine["features"]) or "none for int8"
    if "memory_mib" in machine:
        machine["memory"] = f"{machine.pop('memory_mib')} MiB, {machine.pop('memory_available_mib', '?')} available"
    if "celsius" in machine:
        machine["celsius"] = ", ".join(f"{name} {value:.1f}" for name, value in machine["celsius"].items())
    if "throttling" in machine:
        machine["throttling"] = ", ".join(machine["throttling"]) or "never"
    lines = [f"{name:<16}{value}" for name, value in {"edgecnn": report["edgecnn"], **machine}.items()]
    for name, result in {**report["packages"], **report["models"]}.items():
        lines.append(f"{Path(name).name:<15} {'works' if result['works'] else 'FAILS'}: {result['says']}")
    verdict = "photos can be classified here" if report["well"] else "not ready: see the lines that say FAILS"
    return "\n".join([*lines, f"{'verdict':<16}{verdict}"])
