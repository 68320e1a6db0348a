"""Apply each fault of the table to a copy of the repository, one at a time, and run the tests that should catch it.

usage: PYTHONPATH=tests .venv/bin/python -m faults [TEXT]   (``make faults``)

Writes ``tests/faults/results.json``; with TEXT only for faults whose file or line contains it. Slow tests run only if
the others catch nothing. The exit status is 1 if fewer than 90 % of the faults are caught.

TensorFlow is loaded once: each run of pytest is a fork of this process, which has imported none of our own modules.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
import tensorflow as tf  # noqa: F401 - for all the forks

from faults.table import TABLE, Fault

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
COPIED = ("runtime", "pipeline", "docs", "tests", "artifacts/reference", "pyproject.toml", "README.md")
LEAST = 0.9
LIMIT_S = 600


def copy(folder: Path) -> None:
    """Copy the files that the tests need, without those that git ignores."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run(folder: Path, tests: tuple[str, ...], *options: str) -> tuple[int | None, str]:
    """Run pytest in a fork; return its exit status (``None`` if it took too long) and its output."""
    log = folder / "log"
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.chdir(folder)
        sys.path[:] = [path for path in sys.path if path not in {"", str(ROOT), str(ROOT / "tests")}]
        os.environ["PYTHONPATH"] = str(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *options, *(f"tests/{name}" for name in tests)]))
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")
        time.sleep(0.1)
    os.killpg(child, 9)
    os.waitpid(child, 0)
    return None, log.read_text(errors="replace")


def catching(folder: Path, fault: Fault) -> str | None:
    """The first test that fails because of a fault; ``None`` if none does."""
    path = folder / fault.file
    right = path.read_text(encoding="utf-8")
    if right.count(fault.right) != 1:
        raise SystemExit(f"{fault.file}: {fault.right!r} stands there {right.count(fault.right)} times: mend the table")
    path.write_text(right.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        for options in (("-m", "not slow"), ("-m", "slow")):
            status, said = run(folder, fault.tests, *options)
            if status not in {0, 5}:  # all pass, or there are none
                failed = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
                return failed[0].split(" - ")[0].split(" ", 1)[1] if failed else f"ended with status {status}"
    finally:
        path.write_text(right, encoding="utf-8")
    return None


def main(text: str = "") -> int:
    """Try the faults; print and store one line per fault."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    chosen = [fault for fault in TABLE if text in f"{fault.file} {fault.right}"]
    results = json.loads(RESULTS.read_text()) if text and RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        copy(Path(name))
        for fault in chosen:
            found = catching(Path(name), fault)
            results[f"{fault.file}: {fault.right} -> {fault.wrong}"] = found
            print(f"{'caught by ' + found if found else 'NOT CAUGHT'}: {fault.file}: {fault.wrong}", flush=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    caught = sum(found is not None for found in results.values())
    print(f"{caught} of {len(results)} caught")
    return int(caught < LEAST * len(results))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
