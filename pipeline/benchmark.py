"""The same pixels through Keras and every exported file, one thread, one image at a time."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.export.load import load_exported
from pipeline.machine import describe_machine
from pipeline.manifest import read_manifest
from pipeline.verify import model_files, test_images, verify
from runtime import Classifier
from runtime.timing import measure

KERAS = "Keras"
IMAGES = 1_000
ENGINES = {".onnx": "ONNX Runtime", ".tflite": "LiteRT", ".ncnn": "NCNN"}


def benchmark(folder: Path, rounds: int, test: Dataset | None = None) -> dict[str, Any]:
    """Time all contenders interleaved and write ``benchmark.json``.

    Returns:
        What ``benchmark.json`` holds: the machine, and a row a contender with latency, size and accuracy.

    Raises:
        PipelineError: the folder is not one that export wrote.
        ModelError: one of its files is damaged.
    """
    manifest = read_manifest(folder)
    test = test or test_images(tuple(manifest["class_names"]))
    verified = verify(folder, test)
    pixels = np.ascontiguousarray(test.pixels[:IMAGES])
    reference = load_exported(folder)
    contenders: dict[str, Callable[[Any], Any]] = {
        KERAS: lambda image: reference.model.predict_on_batch(reference.scaling(image))
    }
    for name in model_files(manifest):
        contenders[name] = Classifier(folder / name, threads=1).predict
    latencies = measure(contenders, pixels, rounds)
    rows = {}
    for name, latency in latencies.items():
        accuracy = verified["keras_accuracy"] if name == KERAS else verified["artifacts"][name].get("accuracy")
        file = artifacts.MODEL_KERAS if name == KERAS else name
        rows[name] = {
            "engine": KERAS if name == KERAS else ENGINES[Path(name).suffix],
            "bytes": (folder / file).stat().st_size,
            "accuracy": accuracy,
            **asdict(latency),
        }
    report = {
        "machine": describe_machine(),
        "load_average": os.getloadavg()[0],
        "threads": 1,
        "images": len(pixels),
        "accuracy_images": verified["images"],
        "rounds": rounds,
        "versions": manifest["versions"],
        "contenders": rows,
    }
    artifacts.write_json(folder / artifacts.BENCHMARK, report)
    return report


def format_benchmark(report: dict[str, Any]) -> str:
    """The latencies as a table; the last column is the ratio of medians to Keras."""
    rows = report["contenders"]
    keras_p50 = rows[KERAS]["p50_us"]
    lines = [
        (
            f"One image, one thread, {report['machine']['cpu']} (load {report['load_average']:.1f}); "
            f"{rows[KERAS]['runs']:,} runs each, interleaved:"
        ),
        (
            f"{'contender':<20}{'engine':<14}{'p50 us':>9}{'p90 us':>9}{'p99 us':>9}"
            f"{'KiB':>7}{'accuracy':>10}{'x Keras':>9}"
        ),
    ]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["p50_us"]):
        accuracy = "-" if row["accuracy"] is None else f"{row['accuracy']:.2%}"
        lines.append(
            f"{name:<20}{row['engine']:<14}{row['p50_us']:>9.1f}{row['p90_us']:>9.1f}{row['p99_us']:>9.1f}"
            f"{row['bytes'] / 1024:>7.0f}{accuracy:>10}{row['p50_us'] / keras_p50:>9.4f}"
        )
    return "\n".join(lines)
