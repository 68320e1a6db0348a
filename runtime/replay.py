"""Replay the golden set of a model file, in this process or in a child that a crafted file may crash.

The module imports neither numpy nor an engine, so that it can report that they cannot be imported.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import errors
from runtime.engines import registry
from runtime.errors import EdgecnnError, ModelError, ModelFormatError, ModelSpecError
from runtime.system.child import death, environment, interpreter
from runtime.text import for_terminal, plural

if TYPE_CHECKING:
    from runtime.classifier import Classifier

LIMIT_S = 120
"""Time limit in seconds for loading a file and replaying its images."""


@dataclass(frozen=True)
class ReplayResult:
    """The result of replaying a file's golden set.

    Attributes:
        file: path of the model file.
        engine: name of the engine.
        images: number of golden images.
        same_class: number of images with the same class as in the file, or with the same labels.
        max_difference: largest difference of a probability (0-1) from the one in the file; may be NaN.
        tolerance: the largest difference that the file allows.
        passed: whether the difference is within the tolerance.
    """

    file: str
    engine: str
    images: int
    same_class: int
    max_difference: float
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class _Failure:
    """An error in the child process: the name of its class, and its message."""

    error: str
    message: str


def describe(result: ReplayResult) -> str:
    """Describe a replay's result in one line."""
    return for_terminal(
        f"{'PASS' if result.passed else 'FAIL'} {result.file} ({result.engine}): {plural(result.images, 'image')}, "
        f"largest difference {result.max_difference:.1e} (allowed {result.tolerance:.1e}), "
        f"same class on {result.same_class}"
    )


def replay(classifier: "Classifier") -> ReplayResult:
    """Compare the probabilities computed on this device with those stored in the file.

    Raises:
        ModelSpecError: the file has no golden set.
    """
    golden = classifier.golden()
    if golden is None:
        raise ModelSpecError(
            f"{classifier.path}: has no golden set to replay: export it again with python -m pipeline export"
        )
    thresholds = classifier.spec.label_thresholds if classifier.multi_label else None
    same, difference = golden.compare(classifier.predict(golden.pixels), thresholds)
    return ReplayResult(
        file=str(classifier.path),
        engine=classifier.backend,
        images=len(golden.pixels),
        same_class=same,
        max_difference=difference,
        tolerance=golden.tolerance,
        passed=difference <= golden.tolerance,  # False for NaN
    )


def replay_in_child(path: Path, threads: int | None = None, engine: str | None = None) -> ReplayResult:
    """Run ``replay`` in a child process: a crafted file can crash its engine.

    Args:
        path: a model file, or a folder of them.
        threads: as for ``Classifier``.
        engine: as for ``Classifier``.

    Raises:
        EdgecnnError: as raised by ``Classifier`` and ``replay``; ``ModelFormatError`` if the child process died or
            exceeded ``LIMIT_S``.
    """
    question = json.dumps([str(path), threads, engine])
    command = [*interpreter(), "-m", "runtime.replay", question]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter on our own code
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        raise ModelFormatError(
            f"{path}: no answer within {LIMIT_S} s: export it again, or try another engine"
        ) from None
    if done.returncode:
        raise ModelFormatError(f"{path}: {_fate(path, engine, done.returncode)}")
    answer: Any = json.loads(done.stdout)
    if "error" in answer:
        failure = _Failure(**answer)
        raise getattr(errors, failure.error, ModelError)(failure.message)
    return ReplayResult(**answer)


def _fate(path: Path, engine: str | None, status: int) -> str:
    name = engine or registry.default_engine(path.suffix.lower())
    title, install = (name, registry.find(name).install) if name else ("its engine", "")
    if -status in (signal.SIGILL, signal.SIGKILL):
        return f"{title} {death(-status, install)}"
    how = f"dies of {signal.Signals(-status).name}" if -status in set(signal.Signals) else f"ends with status {status}"
    return (
        f"{title} {how} when it loads or runs this file, so the file is damaged or malicious: "
        "do not use it; copy or export it again"
    )


def _answer(path: str, threads: int | None, engine: str | None) -> ReplayResult | _Failure:
    try:
        from runtime.classifier import Classifier

        return replay(Classifier(path, threads, engine=engine))
    except EdgecnnError as error:
        return _Failure(type(error).__name__, str(error))
    except MemoryError:
        return _Failure("ModelError", f"{path}: needs more memory than there is: use a smaller model")
    except ImportError as error:
        return _Failure("BackendUnavailableError", f"{path}: {error}: pip install numpy pillow onnxruntime")


def _serve() -> None:
    """Read the request from the command line, print one line of JSON; the main function of the child process."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # engines print to stdout
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # out of memory, kill this process first
        file.write("1000")
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(asdict(_answer(*json.loads(sys.argv[1]))), answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    _serve()
