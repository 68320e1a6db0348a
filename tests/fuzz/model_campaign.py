"""Load crafted model files in the sandbox under a memory limit, and replay them as ``verify`` does."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fuzz.campaign import MEMORY_MIB
from fuzz.crafted_models import CraftedModel, changed_bytes, contained, refused
from fuzz.sandbox import Sandbox
from runtime import EdgecnnError, replay

LIMIT_S = 10
REFUSED, CHANGED = "refused before the engine", "a changed byte, contained in a child"
Crafted = Iterable[tuple[str, Callable[[], CraftedModel]]]


def crafted_models(model: Path, flatbuffer: Path, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Counts and peaks by group, with what went wrong under ``faults``."""
    replay.LIMIT_S = LIMIT_S
    with Sandbox(model, MEMORY_MIB << 20, LIMIT_S) as sandbox, tempfile.TemporaryDirectory() as folder:
        groups: dict[str, Crafted] = {
            REFUSED: refused(),
            "contained in a child": contained(),
            CHANGED: changed_bytes(flatbuffer),
        }
        return {name: _try_all(name, sandbox, Path(folder), files, progress) for name, files in groups.items()}


def _try_all(
    group: str, sandbox: Sandbox, folder: Path, files: Crafted, progress: Callable[[int], None]
) -> dict[str, Any]:
    may_die, skip_sound = group != REFUSED, group == CHANGED
    outcomes: Counter[str] = Counter()
    faults, peak, done = [], 0, 0
    for name, make in files:
        file = make()
        verdict = sandbox.open(file.content, file.suffix)
        outcome = verdict.outcome if verdict.fault is None else f"in the sandbox: {verdict.outcome}"
        if not may_die and verdict.fault:
            faults.append(f"{name}: {verdict.outcome}, {verdict.fault}")
        if verdict.fault is None:
            peak = max(peak, verdict.peak_mebibytes)
        outcomes[outcome] += 1
        for engine in file.engines if verdict.fault or not skip_sound else ():
            said = _verified(folder / f"file{file.suffix}", file.content, engine)
            if "\n" in said or (not may_die and ("dies of" in said or said.startswith("PASS"))):
                faults.append(f"{name} on {engine or 'its engine'}: {said}")
        done += 1
        progress(done)
    if peak > MEMORY_MIB:
        faults.append(f"{peak} MiB at the peak")
    return {
        "files": done,
        "outcomes": dict(outcomes.most_common()),
        "faults": faults,
        "peak_mebibytes": peak,
    }


def _verified(path: Path, content: bytes, engine: str | None) -> str:
    """What ``verify`` says of a file."""
    path.write_bytes(content)
    try:
        return replay.describe(replay.replay_in_child(path, engine=engine))
    except EdgecnnError as error:
        return str(error)
