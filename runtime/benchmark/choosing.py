"""What ``tune`` writes, and says on the screen."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.benchmark.tuning import Race, reason
from runtime.choice import CHOICE_FILE, FORMAT, VERSION


def describe(races: list[Race], machine: dict[str, Any], load_average: float) -> dict[str, Any]:
    """What ``runtime.json`` holds."""
    winner = races[-1].best.contender
    won = next(each for each in races if each.best.contender is winner)
    classifier = winner.classifier
    timed = {each.contender.name: each for part in reversed(races) for each in part.timed}
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "artifact": classifier.path.name,
        "sha256": hashlib.sha256(classifier.path.read_bytes()).hexdigest(),
        "engine": classifier.backend,
        "threads": classifier.threads,
        "reason": reason(won, machine["features"]),
        "device": {name: machine[name] for name in ("board", "processor", "features") if name in machine},
        "load_average": load_average,
        "tried": [
            {
                "artifact": each.contender.classifier.path.name,
                "engine": each.contender.classifier.backend,
                "threads": each.contender.classifier.threads,
                "p50_us": each.p50_us,
            }
            for each in sorted(timed.values(), key=lambda each: each.p50_us)
        ],
    }


def format_choice(document: dict[str, Any], folder: Path) -> str:
    """What ``describe`` gives, as a table and a sentence."""
    rows = document["tried"]
    width = max(len(row["artifact"]) for row in rows)
    lines = [f"One image, medians of rounds in turn, load average {document['load_average']:.1f}; microseconds:"]
    lines.append(f"{'file':<{width}}  {'engine':<14}{'threads':>7}{'p50':>10}")
    lines += [
        f"{row['artifact']:<{width}}  {row['engine']:<14}{row['threads']:>7}{row['p50_us']:>10.1f}" for row in rows
    ]
    return "\n".join([*lines, document["reason"], f"Written: {folder / CHOICE_FILE}"])
