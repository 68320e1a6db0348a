"""Reading what ``bench`` wrote, here or on another machine, with suspicion."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runtime.benchmark.document import FORMAT, VERSION
from runtime.errors import EdgecnnError

MAX_BYTES = 1 << 26
ENTRIES = {
    "device": dict,
    "conditions": dict,
    "versions": dict,
    "settings": dict,
    "contenders": list,
    "end_to_end": list,
}


class BenchmarkFormatError(EdgecnnError, ValueError):
    """A file is not what ``bench`` writes, or is of another version."""


def read_benchmark(path: Path) -> dict[str, Any]:
    """What ``compose`` made, from a file.

    Raises:
        BenchmarkFormatError: not readable, not such a file, damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            report = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchmarkFormatError(f"{path}: not a readable benchmark ({error}): run bench") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise BenchmarkFormatError(f"{path}: not what bench writes (expected {FORMAT!r} as its format): run bench")
    if report.get("version") != VERSION:
        raise BenchmarkFormatError(
            f"{path}: a benchmark of version {report.get('version')!r:.20}, this program reads {VERSION}: "
            "run bench again with this one, or update it"
        )
    for name, kind in ENTRIES.items():
        if not isinstance(report.get(name), kind):
            raise BenchmarkFormatError(f"{path}: {name!r} is missing or damaged: run bench again")
    _check(path, report["contenders"])
    return report


def _check(path: Path, rows: Iterable[Any]) -> None:
    for number, row in enumerate(rows, 1):
        try:
            good = bool(row["backend"] and row["artifact"] and row["threads"] and row["sha256"])
            good = good and (row["missing"] is not None or row["latency_us"]["p50"] > 0)
        except (TypeError, KeyError):
            good = False
        if not good:
            raise BenchmarkFormatError(f"{path}: contender {number} is damaged: run bench again")


def row_of(report: dict[str, Any], artifact: str, backend: str, threads: int = 1) -> dict[str, Any]:
    """The figures of one contender.

    Raises:
        BenchmarkFormatError: it was not measured.
    """
    for row in report["contenders"]:
        if (row["artifact"], row["backend"], row["threads"], row["missing"]) == (artifact, backend, threads, None):
            found: dict[str, Any] = row
            return found
    raise BenchmarkFormatError(f"no figures for {backend} on {artifact} with {threads} thread(s): run bench again")
