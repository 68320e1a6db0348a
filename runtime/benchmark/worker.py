"""The worker process of a contender: ``python -m runtime.benchmark.worker ENGINE MODEL THREADS``.

It loads one model, then answers requests of the benchmark; each request and each answer is one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NoReturn

import numpy as np

from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.classifier import Classifier
from runtime.errors import EdgecnnError
from runtime.replay import ReplayResult, replay
from runtime.spec import ModelSpec

NOISE_IMAGES = 64


class FileTimedModel(TimedModel):
    """A model file, run by one of this package's engines."""

    def __init__(self, path: str, engine: str, threads: int) -> None:
        classifier = self._classifier = Classifier(path, threads, engine=engine)
        spec, golden = classifier.spec, classifier.golden()
        self._carries_golden = golden is not None
        noise = np.random.default_rng(0).integers(0, 256, (NOISE_IMAGES, *spec.shape)).astype(np.uint8)
        super().__init__(
            classifier.predict,
            golden.pixels if golden else noise,
            Facts(
                images="golden set" if golden else "noise",
                accuracy=spec.accuracy,
                accuracy_images=spec.accuracy_images or None,
                accuracy_on=spec.accuracy_on,
            ),
        )

    def golden(self) -> ReplayResult | None:
        """Return the result of ``replay``; ``None`` if the file has no golden set."""
        return replay(self._classifier) if self._carries_golden else None

    def spec(self) -> ModelSpec:
        """Return the spec in the model file."""
        return self._classifier.spec


def serve(load: Callable[[], TimedModel]) -> NoReturn:
    """Load the model, report the start-up figures, answer requests until stdin ends, and exit."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # engines print to stdout
    try:
        start = time.perf_counter()
        model = load()
        loaded = time.perf_counter()
        model.first()
        first = time.perf_counter()
        startup: Any = {
            "load_ms": (loaded - start) * 1e3,
            "first_result_ms": (first - start) * 1e3,
            "peak_memory_bytes": model.peak_memory_bytes(),
            **asdict(model.facts),
        }
        print(json.dumps(startup), file=answers)
        for line in sys.stdin:
            call, arguments = json.loads(line)
            print(json.dumps([getattr(model, call)(**arguments)], default=asdict), file=answers)
    except EdgecnnError as error:
        print(json.dumps({"error": str(error)}), file=answers)
    except Exception as error:  # noqa: BLE001 - any error concerns only this contender, whose row reports it
        print(json.dumps({"error": f"{type(error).__name__}: {str(error)[:300]}"}), file=answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    engine, model, threads = sys.argv[1:]
    serve(lambda: FileTimedModel(model, engine, int(threads)))
