"""``bench``: the latency of model files on one image, all taking turns."""

import argparse
import json
import time
from dataclasses import asdict

import numpy as np

from runtime.backends import Pixels
from runtime.classifier import Classifier
from runtime.commands import OK, add_json, add_model, positive
from runtime.errors import ModelSpecError
from runtime.timing import measure

EPILOG = """\
One image a run, on the images that the first file carries, or noise; the files take turns, so that a slow moment of
the machine hits all of them.

exit status:
  0 measured, 2 a file is unusable

example:
  PROGRAM bench model_fp32.onnx model_int8.onnx"""

ROUNDS = 20


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser, several=True)
    parser.add_argument("--seconds", type=positive, default=2, help="time for each file, about (default: 2)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print, the fastest first."""
    classifiers = {path: Classifier(path, options.threads, engine=options.engine) for path in options.model}
    sides = {classifier.spec.side for classifier in classifiers.values()}
    if len(sides) > 1:
        raise ModelSpecError(
            f"models of different sides ({sorted(sides)}) cannot share images: measure them one by one"
        )
    pixels, source = _images(next(iter(classifiers.values())))
    slowest_s = max(_seconds(classifier, pixels[:1]) for classifier in classifiers.values())
    runs = max(1, int(options.seconds / ROUNDS / slowest_s))
    latencies = measure({path: model.predict for path, model in classifiers.items()}, pixels, ROUNDS, runs)
    rows = [
        {
            "file": path,
            "engine": classifiers[path].backend,
            "bytes": classifiers[path].path.stat().st_size,
            **asdict(latency),
        }
        for path, latency in sorted(latencies.items(), key=lambda item: item[1].p50_us)
    ]
    if options.json:
        print(json.dumps({"threads": options.threads, "images": source, "files": rows}))
        return OK
    print(f"One image, {options.threads} thread(s), {source}, {runs * ROUNDS} runs each; microseconds:")
    width = max(len(str(row["file"])) for row in rows)
    print(f"{'file':<{width}}  {'engine':<14}{'KiB':>7}{'p50':>9}{'p90':>9}{'p99':>9}")
    for row in rows:
        figures = f"{row['bytes'] / 1024:>7.0f}{row['p50_us']:>9.1f}{row['p90_us']:>9.1f}{row['p99_us']:>9.1f}"
        print(f"{row['file']:<{width}}  {row['engine']:<14}{figures}")
    return OK


def _images(classifier: Classifier) -> tuple[Pixels, str]:
    golden = classifier.golden()
    if golden is not None:
        return golden.pixels, f"{len(golden.pixels)} carried images"
    side = classifier.spec.side
    return np.random.default_rng(0).integers(0, 256, (8, side, side, 3)).astype(np.uint8), "noise"


def _seconds(classifier: Classifier, pixels: Pixels) -> float:
    start = time.perf_counter()
    classifier.predict(pixels)
    return max(time.perf_counter() - start, 1e-6)
