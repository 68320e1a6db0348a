"""Open thousands of mutated files in the sandbox, and collect the outcomes."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fuzz.mutate import mutate
from fuzz.pictures import crafted
from fuzz.sandbox import Sandbox, Verdict
from fuzz.seeds import image_seeds
from runtime.engines.checksum import MARKER, add_checksum

MEMORY_MIB = 512
"""What the process that classifies pictures may take at its peak, model and all."""
SECONDS = 30.0
"""As long as the command lines give an image."""


@dataclass
class Findings:
    """Counts of the outcomes, the files that were handled wrongly, and the peaks of memory and time."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, Verdict, bytes]] = field(default_factory=list)
    mebibytes: int = 0
    peak_mebibytes: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Counts and peaks for a JSON document."""
        return {
            "files": sum(self.outcomes.values()),
            "outcomes": dict(self.outcomes.most_common()),
            "faults": [f"{name}: {verdict.fault}" for name, verdict, _ in self.faults],
            "peak_mebibytes": self.peak_mebibytes,
            "growth_mebibytes": self.mebibytes,
            "seconds": round(self.seconds, 2),
        }

    def __str__(self) -> str:
        lines = [", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common())]
        lines += [
            f"most for one file: {self.mebibytes} MiB, {self.peak_mebibytes} with the process, {self.seconds:.2f} s"
        ]
        lines += [f"FAULT {name}: {verdict.outcome}, {verdict.fault}" for name, verdict, _ in self.faults[:20]]
        return "\n".join(lines)


def mutated_images(count: int, seed: int) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and suffix of each."""
    seeds, random_ = image_seeds(), random.Random(seed)  # noqa: S311
    names, pool = list(seeds), list(seeds.values())
    for number in range(count):
        name = names[number % len(names)]
        yield f"{name}_{number}", mutate(seeds[name], pool, random_), ".img"


def truncated_images(longest: int) -> Iterator[tuple[str, bytes, str]]:
    """Every beginning of every seed of at most ``longest`` bytes."""
    for name, content in image_seeds().items():
        if len(content) <= longest:
            yield from ((f"{name}_{length}", content[:length], ".img") for length in range(len(content)))


def mutated_models(paths: Iterable[Path], count: int, seed: int) -> Iterator[tuple[str, bytes, str]]:
    """``count`` mutations of each file."""
    random_ = random.Random(seed)  # noqa: S311 - mutants, no secrets
    for path in paths:
        content = sealed(path)
        for number in range(count):
            yield f"{path.stem}_{number}", mutate(content, [content], random_), path.suffix


def sealed(path: Path) -> bytes:
    """A model file's content with a checksum, which is added if it has none."""
    content = path.read_bytes()
    return content if MARKER in content else add_checksum(content)


def crafted_pictures() -> Iterator[tuple[str, bytes, str]]:
    """Every picture of the table."""
    for name, make in crafted().items():
        yield name, make(), ".img"


def run(
    sandbox: Sandbox,
    files: Iterable[tuple[str, bytes, str]],
    progress: Callable[[int], None] = lambda _: None,
) -> Findings:
    """Open every file and collect."""
    findings = Findings()
    for number, (name, content, suffix) in enumerate(files):
        verdict = sandbox.open(content, suffix)
        fault = verdict.fault
        if fault is None and suffix == ".img" and verdict.peak_mebibytes > MEMORY_MIB:
            fault = f"took {verdict.peak_mebibytes} MiB"
        if fault is None and number and verdict.seconds > SECONDS:  # the first waits for the child's start
            fault = f"took {verdict.seconds:.1f} s"
        if fault:
            findings.faults.append((name, replace(verdict, fault=fault), content))
        findings.outcomes[verdict.outcome if verdict.outcome[0].isupper() or verdict.fault else "answered"] += 1
        findings.mebibytes = max(findings.mebibytes, verdict.mebibytes)
        findings.peak_mebibytes = max(findings.peak_mebibytes, verdict.peak_mebibytes)
        if number:
            findings.seconds = max(findings.seconds, verdict.seconds)
        progress(number + 1)
    return findings
