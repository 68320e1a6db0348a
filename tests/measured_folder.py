"""An export folder made by hand: every number is known; the model files are placeholders."""

import base64
import io

from PIL import Image

from pipeline import artifacts
from pipeline.artifacts import sha256

NAMES = ["ant", "bee", "<script>alert(1)</script> & $x_2$"]
FILES = (artifacts.FP32_ONNX, artifacts.INT8_ONNX, artifacts.INT8_TFLITE)
KERAS_MATRIX = [[8, 1, 1], [0, 9, 1], [2, 0, 8]]
INT8_MATRIX = [[7, 2, 1], [0, 9, 1], [2, 0, 8]]
LIMITS = {"max_difference": 1.0, "mean_difference": 0.02, "min_agreement": 0.97, "max_accuracy_drop": 0.5}


def content(name):
    """A file's bytes."""
    return name.encode() * 1000


def write(folder, skip=()):
    """All files of the folder but those skipped."""
    for name in (artifacts.MODEL_KERAS, *FILES):
        artifacts.write_bytes(folder / name, content(name))
    documents = {
        artifacts.MANIFEST: manifest(),
        artifacts.VERIFY: verified(),
        artifacts.DRIFT: drifted(),
        artifacts.BENCHMARK: benchmark(),
        artifacts.MISTAKES: mistakes(),
        artifacts.KNOWN: known(),
    }
    for name, document in documents.items():
        if name not in skip:
            artifacts.write_json(folder / name, document)
    return folder


def manifest():
    candidate = {
        "stage": "calibration",
        "summary": "min-max, 100 images",
        "accuracy": 0.8,
        "lost_points": 0.25,
        "p_value": 0.5,
        "agreement": 0.99,
        "mean_difference": 0.003,
        "violations": [],
    }
    untimed = {**candidate, "summary": "entropy, 100 images", "violations": ["over all: lost"]}
    decision = {"summary": candidate["summary"], "passed": True, "candidates": [candidate, untimed]}
    return {
        "files": {
            name: {"bytes": len(content(name)), "sha256": sha256(content(name))}
            for name in (artifacts.MODEL_KERAS, *FILES)
        },
        "class_names": NAMES,
        "side": 16,
        "scale": [1 / 255] * 3,
        "offset": [0.0] * 3,
        "temperature": 1.25,
        "calibration": {"images": 500, "digest": "c" * 64},
        "validation": {"images": 5000, "digest": "d" * 64, "keras_accuracy": 0.84},
        "criteria": {"max_points": 0.5, "max_class_points": 3.0, "min_agreement": 0.97, "max_mean_difference": 0.02},
        "decisions": {artifacts.INT8_ONNX: decision, artifacts.INT8_TFLITE: decision},
        "passed": True,
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
    }


def scores(matrix):
    right = sum(matrix[index][index] for index in range(3))
    bins = {"counts": [0, 12, 18], "confidence": [0.0, 0.55, 0.91], "accuracy": [0.0, 0.5, 0.9]}
    risk = {"threshold": [0.9, 0.6, 0.3], "coverage": [0.3, 0.6, 1.0], "risk": [0.0, 0.05, 0.2], "area": 0.0432}
    calibration = {"expected_error": 0.0321, **bins}
    return {"accuracy": right / 30, "confusion": matrix, "calibration": calibration, "selective": risk}


def known():
    out_of_distribution = [
        {"kind": kind, "pictures": 100, "mistaken": 7, "auroc": 0.9123, "false_positives": 0.314, "counts": [70, 23, 7]}
        for kind in ("flowers $x_2$ <b>", "noise")
    ]
    of_file = {
        "sha256": sha256(content(artifacts.INT8_ONNX)),
        "threshold": 2.5,
        "photos": 30,
        "known": 28,
        "edges": [1.0, 2.0, 2.5, 3.5],
        "counts": [1, 1, 28],
        "strangers": out_of_distribution,
    }
    return {"part": "test", "files": {artifacts.INT8_ONNX: of_file}}


def verified():
    def row(name, matrix, difference):
        return {
            **scores(matrix),
            "bytes": len(content(name)),
            "sha256": sha256(content(name)),
            "max_difference": 40 * difference,
            "mean_difference": difference,
            "agreement": 29 / 30,
            "p_value": 0.73,
            "accuracy_drop_points": 1.5,
            "limits": LIMITS,
            "violations": [],
        }

    return {
        "images": 30,
        "class_names": NAMES,
        "test_digest": "e" * 64,
        "keras": scores(KERAS_MATRIX),
        "artifacts": {
            artifacts.FP32_ONNX: row(artifacts.FP32_ONNX, KERAS_MATRIX, 2.5e-8),
            artifacts.INT8_ONNX: row(artifacts.INT8_ONNX, INT8_MATRIX, 2.7e-3),
            artifacts.INT8_TFLITE: row(artifacts.INT8_TFLITE, INT8_MATRIX, 2.6e-3),
        },
        "passed": True,
    }


def drifted():
    flip = {"image": 7, "true_class": "bee", "keras_class": "bee", "keras_probability": 0.612}
    flip |= {"class": NAMES[2], "probability": 0.583}
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(stream, "PNG")

    def row(level, flips):
        layers = {"conv": {"snr_db": level, "cosine": 0.999}, "dense": {"snr_db": level - 5.25, "cosine": 0.99}}
        return {"precision": "int8", "threshold_db": 15.0, "first_past": None, "layers": layers, "flips": flips}

    return {
        "images": 5000,
        "layer_images": 64,
        "layers": [{"name": "conv", "kind": "Conv2D"}, {"name": "dense", "kind": "Dense"}],
        "artifacts": {
            artifacts.FP32_ONNX: row(130.5, []),
            artifacts.INT8_ONNX: row(36.75, [flip]),
            artifacts.INT8_TFLITE: row(35.5, []),
        },
        "pictures": {"7": base64.b64encode(stream.getvalue()).decode()},
    }


def mistakes():
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "olive").save(stream, "WEBP")
    picture = base64.b64encode(stream.getvalue()).decode()
    answer = {"shows": NAMES[0], "taken_for": NAMES[2], "probability": 0.9375, "own_probability": 0.0625}
    return {
        "model_sha256": sha256(content(artifacts.MODEL_KERAS)),
        "images": 30,
        "images_digest": "e" * 64,
        "wrong": 5,
        "shown": [{"image": 3, "path": "ant/<b>3</b>.jpg", **answer, "square": picture, "heat": picture}],
    }


def evaluation():
    bins = scores(KERAS_MATRIX)["calibration"]
    shares = {"images": 10, "accuracy": 0.8, "precision": None}
    return {
        "images": 30,
        "images_digest": "e" * 64,
        "validation_images": 300,
        "validation_digest": "f" * 64,
        "accuracy": 25 / 30,
        "classes": dict.fromkeys(NAMES, shares),
        "confusion": KERAS_MATRIX,
        "calibration": {"temperature": 1.25, "before": {**bins, "nll": 0.5}, "after": {**bins, "nll": 0.4}},
    }


def label_evaluation():
    row = {"threshold": 0.5, "precision": None, "recall": 0.5, "f1": 0.4, "average_precision": 0.6}
    return {
        "images": 30,
        "images_digest": "e" * 64,
        "validation_images": 300,
        "validation_digest": "f" * 64,
        "macro_f1": 0.5,
        "macro_f1_interval": [0.4, 0.6],
        "mean_average_precision": 0.7,
        "mean_average_precision_interval": [0.6, 0.8],
        "all_right": 0.3,
        "labels": {name: {"images": 10, **row} for name in NAMES},
    }


def history():
    figures = {"seconds": 1.5, "accuracy": 0.5, "loss": 1.25, "val_accuracy": 0.6, "val_loss": None}
    return {
        "model_sha256": sha256(content(artifacts.MODEL_KERAS)),
        "settings": {"epochs": 2, "model": "notes", "flip": 0.5, "reparam": False},
        "teacher_sha256": None,
        "class_names": NAMES,
        "images": {"training": 300, "validation": 30},
        "best_epoch": 2,
        "validation_accuracy": 0.6,
        "temperature": 1.25,
        "photos": None,
        "epochs": [{"epoch": number, **figures, "learning_rate": 0.002} for number in (1, 2)],
    }


def benchmark(name="Desk", times=1.0, throttled=()):
    """A benchmark of a machine that is slower than the PC by a factor."""
    moment = {"load_average": 0.5, "temperature_c": 51.0, "throttled": []}
    return {
        "format": "edgecnn-benchmark",
        "version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "revision": None,
        "name": None,
        "device": {
            "name": name,
            "cpu": "Some <b>CPU</b>",
            "machine": "aarch64",
            "features": ["asimd"],
            "cores": 4,
            "governor": "ondemand",
            "os": "Linux",
            "python": "3.11.7",
            "emulated": False,
        },
        "conditions": {"before": moment, "after": {**moment, "throttled": list(throttled)}},
        "versions": {"onnxruntime": "1.32.0"},
        "settings": {
            "rounds": 20,
            "seconds": 2,
            "batches": [1, 8, 64],
            "images": 30,
            "image_source": "test images",
            "photo": "generated",
        },
        "contenders": [
            contender("onnxruntime", "ONNX Runtime", artifacts.FP32_ONNX, 45.25 * times),
            contender("onnxruntime", "ONNX Runtime", artifacts.INT8_ONNX, 27.5 * times),
            contender("litert", "LiteRT", artifacts.INT8_TFLITE, 15.125 * times),
            contender("keras", "Keras", artifacts.MODEL_KERAS, 1356.5 * times),
            {
                "backend": "ncnn",
                "engine": "NCNN",
                "artifact": artifacts.FP32_ONNX,
                "threads": 1,
                "missing": {"reason": "ncnn is not installed", "install": "pip install 'edgecnn[ncnn]'"},
            },
        ],
        "end_to_end": [
            {
                "artifact": artifacts.INT8_ONNX,
                "backend": "onnxruntime",
                "photo": {"width": 1920, "height": 1080, "bytes": 500_000, "format": "JPEG"},
                "read_us": 100.0,
                "decode_us": 4000.0,
                "resize_us": 300.0,
                "inference_us": 27.5,
                "total_us": 4427.5,
            }
        ],
    }


def contender(backend, engine, artifact, p50):
    return {
        "backend": backend,
        "engine": engine,
        "artifact": artifact,
        "threads": 1,
        "missing": None,
        "bytes": len(content(artifact)),
        "sha256": sha256(content(artifact)),
        "latency_us": {"p50": p50, "p90": 1.1 * p50, "p99": 1.5 * p50, "worst": 9 * p50, "spread": 0.02, "runs": 2000},
        "ratio_to_best": {"value": 2.5, "low": 2.25, "high": 2.75},
        "ratio_to_keras": {"value": 0.125, "low": 0.12, "high": 0.13},
        "images_per_s": {"1": 1e6 / p50, "8": 2e6 / p50, "64": 3e6 / p50},
        "load_ms": 3.25,
        "first_result_ms": 3.5,
        "cold_start_ms": 161.5,
        "peak_memory_bytes": 50 * 2**20,
        "accuracy": 0.8 if "int8" in artifact else 25 / 30,
        "agreement": 29 / 30,
        "accuracy_images": 30,
    }


def rewrite(path, **entries):
    """Change entries of a JSON file."""
    artifacts.write_json(path, {**artifacts.read_json(path), **entries})
