"""Write a folder of static files that runs an exported model in a browser, without loading from other sites."""

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.deploy.web.engine import Engine
from runtime import Classifier

__all__ = ["GOLDEN_SHEET", "PAGE", "PAGE_FILES", "write_page"]

PAGE = "page.json"
GOLDEN_SHEET = "golden.png"
PAGE_FILES = Path(__file__).parent / "page"


def write_page(folder: Path, out: Path, engine: Engine) -> dict[str, Any]:
    """Write the page of a folder that export wrote: its int8 ONNX file, ONNX Runtime Web, and the page's own files.

    Args:
        folder: contains ``model_int8.onnx``.
        out: folder to write; files of the same names are replaced.
        engine: the files of ONNX Runtime Web.

    Returns:
        The content of ``page.json``: the model's spec, and the expected probabilities of its golden set.

    Raises:
        ModelError: the model file is missing, damaged or not written by export.
    """
    path = folder / artifacts.INT8_ONNX
    with Classifier(path) as classifier:
        spec, golden = classifier.spec, classifier.golden()
    content = path.read_bytes()
    replayed = json.loads(golden.to_json()) if golden else None
    if replayed:
        artifacts.write_bytes(out / GOLDEN_SHEET, base64.b64decode(replayed.pop("png")))
    page = {
        "model": path.name,
        "bytes": len(content),
        "download_bytes": len(content) + sum(map(len, engine.files.values())),
        "sha256": artifacts.sha256(content),
        "engine": f"ONNX Runtime Web {engine.version}",
        "spec": asdict(spec),
        "golden": replayed,
    }
    artifacts.write_bytes(out / path.name, content)
    for name, file in engine.files.items():
        artifacts.write_bytes(out / name, file)
    for source in sorted(PAGE_FILES.iterdir()):
        artifacts.write_bytes(out / source.name, source.read_bytes())
    artifacts.write_json(out / PAGE, page)
    return page
