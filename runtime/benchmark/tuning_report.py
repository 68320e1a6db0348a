"""The content of ``runtime.json``, which ``tune`` writes, and its text on the screen."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from runtime.benchmark.tuning import Race, reason
from runtime.system.machine import Machine
from runtime.text import for_terminal
from runtime.tuning import TUNING_FILE, Trial, Tuning


def describe(races: list[Race], machine: Machine, load_average: float) -> Tuning:
    """Return the fastest contender of the races as the content of ``runtime.json``."""
    classifier, known = races[-1].best.contender.classifier, machine.to_json()
    return Tuning(
        artifact=classifier.path.name,
        sha256=hashlib.sha256(classifier.path.read_bytes()).hexdigest(),
        engine=classifier.backend,
        threads=classifier.threads,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason(races, machine.features),
        device={name: known[name] for name in ("board", "processor", "features", "emulated") if name in known},
        load_average=load_average,
        tried=tuple(
            Trial(
                race=number,
                artifact=each.contender.classifier.path.name,
                engine=each.contender.classifier.backend,
                threads=each.contender.classifier.threads,
                p50_us=each.p50_us,
            )
            for number, part in enumerate(races, 1)
            for each in sorted(part.timed, key=lambda each: each.p50_us)
        ),
    )


def format_tuning(choice: Tuning, folder: Path) -> str:
    """Format the table of the races and the reason for the choice."""
    width = max(len(row.artifact) for row in choice.tried)
    emulated = ", EMULATED" if "emulated" in choice.device else ""
    load = f"load average {choice.load_average:.1f}{emulated}"
    lines = [f"Median latency of one image in microseconds, {load}; compare only rows of one race:"]
    lines.append(f"{'race':<6}{'file':<{width}}  {'engine':<14}{'threads':>7}{'p50':>10}")
    lines += [
        f"{row.race:<6}{row.artifact:<{width}}  {row.engine:<14}{row.threads:>7}{row.p50_us:>10.1f}"
        for row in choice.tried
    ]
    return "\n".join(map(for_terminal, [*lines, choice.reason, f"Written: {folder / TUNING_FILE}"]))
