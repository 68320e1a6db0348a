"""``doctor``: describe this machine, and test each engine on it.

Packages that could crash are not imported here: each test runs in a child process, and a crash is reported in its line.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import __version__
from runtime.commands import FAILED, OK, add_json
from runtime.drift.state import describe as describe_drift
from runtime.engines.registry import Engine, default_engine
from runtime.errors import EdgecnnError, OutputError
from runtime.replay import describe, replay_in_child
from runtime.system.child import interpreter
from runtime.system.machine import CPU_FEATURES, Machine, examine_machine
from runtime.system.probe import ProbeResult, probe, word_size
from runtime.text import for_terminal
from runtime.tuning import model_files

EPILOG = """\
With a model file, its golden set is replayed as well, in a child process.

exit status:
  0 photos can be classified here, 1 something needed is missing or crashes (its line says what to do)

examples:
  PROGRAM doctor
  PROGRAM doctor model_int8.onnx"""

NEEDED = {
    "numpy": ("import numpy as m; m.ones((8, 8), 'f4') @ m.ones((8, 8), 'f4')", (1, 24)),
    "pillow": ("import PIL.Image as i, PIL as m; i.new('RGB', (64, 64)).resize((8, 8), 2)", (9, 4)),
}
"""For each package the code to run, and the oldest accepted version (the same as in pyproject.toml)."""


Results = dict[str, ProbeResult]


@dataclass(frozen=True)
class Report:
    """What ``doctor`` found.

    Attributes:
        machine: the machine.
        packages: package -> whether it works.
        engines: engine -> whether it works.
        models: model file -> whether its golden set is answered as at export.
        drift: the summary of a drift file; ``None`` if none was asked for.
    """

    machine: Machine
    packages: Results
    engines: Results
    models: Results
    drift: str | None = None

    @property
    def parts(self) -> Results:
        """All that was tried, by name."""
        return {**self.packages, **self.engines, **self.models}

    @property
    def well(self) -> bool:
        """Whether photos can be classified here: all packages, all files and one engine work."""
        needed = all(result.works for result in (*self.packages.values(), *self.models.values()))
        return needed and any(result.works for result in self.engines.values())

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""

        def by_name(results: Results) -> dict[str, Any]:
            return {name: result.to_json() for name, result in results.items()}

        return {
            "edgecnn": __version__,
            "machine": self.machine.to_json(),
            "packages": by_name(self.packages),
            "engines": by_name(self.engines),
            "models": by_name(self.models),
            **({} if self.drift is None else {"drift": self.drift}),
            "well": self.well,
        }


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="model files, or folders of them, to replay")
    parser.add_argument(
        "--drift",
        metavar="FILE",
        type=Path,
        help="also report drift from this file, which --drift of stream, watch or serve writes",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Examine the machine, print the report, and return the exit status."""
    packages = {
        name: probe([*interpreter(), "-c", code + _version_check(name, oldest)], f"pip install {name}")
        for name, (code, oldest) in NEEDED.items()
    }
    engines = probe_engines()
    files = [file for name in options.models for file in _files(name, engines)]
    report = Report(
        examine_machine(Path("/")),
        packages,
        engines,
        models={file: _replayed(file) for file in files},
        drift=None if options.drift is None else _drift(options.drift),
    )
    print(json.dumps(report.to_json(), indent=2) if options.json else _text(report))
    return OK if report.well else FAILED


def _drift(path: Path) -> str:
    try:
        return describe_drift(path)
    except OutputError as error:
        return str(error)


def _version_check(name: str, oldest: tuple[int, int]) -> str:
    """Return Python code that prints the version of the module ``m``, or fails with a message if it is too old."""
    wanted = ".".join(map(str, oldest))
    return (
        f"; old = tuple(map(int, m.__version__.split('.')[:2])) < {oldest}; print(m.__version__); "
        f"old and exit(m.__version__ + ' is too old, expected {wanted} or newer: pip install \"{name}>={wanted}\"')"
    )


def _files(name: str, engines: Results) -> list[str]:
    """Return the file of this name, or those files of this folder whose engine is installed."""
    if not Path(name).is_dir():
        return [name]
    absent = {engine for engine, result in engines.items() if result.absent}
    return [str(file) for file in model_files(Path(name)).values() if default_engine(file.suffix.lower()) not in absent]


def _replayed(file: str) -> ProbeResult:
    try:
        result = replay_in_child(Path(file))
    except EdgecnnError as error:
        return ProbeResult(works=False, says=str(error))
    return ProbeResult(works=result.passed, says=describe(result))


def probe_engines() -> Results:
    """Import each installed engine in a child process of its own; for the others say how to install them."""
    code = (
        "import json; from runtime.engines.registry import engines; "
        "print(json.dumps([each._asdict() for each in engines()]))"
    )
    listing = probe([*interpreter(), "-c", code])
    if not listing.works:
        return {"engines": listing}
    results = {}
    for engine in (Engine(**entries) for entries in json.loads(listing.says)):
        if engine.missing:
            says = f"{engine.missing}: {engine.install}{word_size()}"
            results[engine.name] = ProbeResult(works=False, says=says, absent=True)
        else:
            code = f"from runtime.engines.registry import find; m = find({engine.name!r}).import_engine()"
            code += "; print(getattr(m, '__version__', 'of no version'))"
            results[engine.name] = probe([*interpreter(), "-c", code], engine.install)
    return results


def _text(report: Report) -> str:
    lines = [f"{name:<16}{value}" for name, value in {"edgecnn": __version__, **_facts(report.machine)}.items()]
    for name, result in report.parts.items():
        word = "works" if result.works else "absent" if result.absent else "FAILS"
        lines.append(for_terminal(f"{Path(name).name:<15} {word}: {result.says}"))
    if report.drift is not None:
        lines.append(for_terminal(f"{'drift':<16}{report.drift}"))
    verdict = "photos can be classified here" if report.well else "not ready: see the lines that say FAILS"
    return "\n".join([*lines, f"{'verdict':<16}{verdict}"])


def _facts(machine: Machine) -> dict[str, Any]:
    """Return the lines about the machine, by title, with what is known."""
    features = ", ".join(f"{name} ({CPU_FEATURES[name]})" for name in machine.features)
    available = "?" if machine.memory_available_mib is None else machine.memory_available_mib
    throttling = ", ".join(machine.throttling or ())
    facts = {
        "system": machine.system,
        "architecture": machine.architecture,
        "python": machine.python,
        "board": machine.board,
        "processor": machine.processor,
        "processors": machine.processors,
        "features": features or "none for int8",
        "celsius": ", ".join(f"{name} {value:.1f}" for name, value in machine.celsius.items()),
        "governor": machine.governor,
        "throttling": "" if machine.throttling is None else throttling or "never",
        "emulated": "yes, by QEMU: the times are not those of a board" if machine.emulated else "",
        "memory": "" if machine.memory_mib is None else f"{machine.memory_mib} MiB, {available} available",
    }
    return {name: value for name, value in facts.items() if value}
