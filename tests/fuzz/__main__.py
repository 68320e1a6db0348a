"""``python -m fuzz``: damage thousands of image and model files; exit status 1 if one is not handled."""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

from fuzz.bombs import BOMBS, thin_pictures
from fuzz.campaign import Findings, crafted_pictures, mutated_images, mutated_models, run, truncated_images
from fuzz.model_campaign import crafted_models
from fuzz.sandbox import ROOT, Sandbox

REFERENCE = ROOT / "artifacts" / "reference"


def main() -> int:
    """Run all campaigns and print the outcomes."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--images", type=int, default=20_000, help="mutated image files (default: 20000)")
    parser.add_argument("--models", type=int, default=1_000, help="mutants of each model file (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other mutants (default: 0)")
    parser.add_argument("--out", type=Path, default=ROOT / "artifacts" / "build" / "fuzz.json", help="counts and peaks")
    parser.add_argument("--keep", type=Path, default=ROOT / "artifacts" / "build" / "fuzz", help="folder for faults")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)  # before the work, not after
    engines = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert"}
    models = [
        path
        for path in sorted(REFERENCE.glob("model_*.*"))
        if path.suffix in engines and importlib.util.find_spec(engines[path.suffix])
    ]
    campaigns = {
        "bombs and thin pictures": [
            *((name, build(), ".img") for name, build in BOMBS.items()),
            *((name, content, ".img") for name, content in thin_pictures().items()),
        ],
        "crafted pictures": crafted_pictures(),
        "crafted pictures in child processes": crafted_pictures(),
        "image files cut off at every byte": truncated_images(longest=1500),
        "mutated image files": mutated_images(options.images, options.seed),
        "mutated model files": mutated_models(models, options.models, options.seed),
    }
    faults, document = 0, {}
    model, less = REFERENCE / "model_int8.onnx", 512 << 20
    with Sandbox(model) as sandbox, Sandbox(model, less) as small, Sandbox(model, less, isolated=True) as isolated:
        places = {"crafted pictures": small, "crafted pictures in child processes": isolated}
        for name, files in campaigns.items():
            start = time.monotonic()
            findings = run(places.get(name, sandbox), files, _progress)
            total = sum(findings.outcomes.values())
            print(f"\r{total:,} {name} in {time.monotonic() - start:.0f} s: {findings}", flush=True)
            faults += len(findings.faults)
            document[name] = findings.summary()
            _keep(findings, options.keep)
    for name, result in crafted_models(
        REFERENCE / "model_int8.onnx", REFERENCE / "model_int8.tflite", _progress
    ).items():
        print(f"\r{result['files']:,} crafted model files {name}: {json.dumps(result)}", flush=True)
        faults += len(result["faults"])
        document[f"crafted model files {name}"] = result
    options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"{faults} faults" + (f", kept in {options.keep}" if faults else ""))
    return 1 if faults else 0


def _progress(done: int) -> None:
    if done % 500 == 0 and sys.stderr.isatty():
        print(f"\r{done:,}", end="", file=sys.stderr, flush=True)


def _keep(findings: Findings, folder: Path) -> None:
    for name, _, content in findings.faults:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name.replace(" ", "_").replace(",", "")).write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
