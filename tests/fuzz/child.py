"""The process that opens hostile files: ``python child.py MODEL ADDRESS_SPACE_BYTES [isolated]``.

``isolated`` decodes as the command lines do, in children of its own, whose memory counts as well.

Reads files from stdin, each as one line of JSON (``suffix``, ``size``) and its bytes, or as a line that names its
``path``; answers each with one line of JSON: ``outcome`` (a class name, or the name of a typed error), ``fault`` (why
that will not do, or ``null``), ``mebibytes`` (what the process grew by at its peak) and ``peak_mebibytes`` (all that it
took then). Linux only.
"""

import json
import os
import re
import resource
import sys
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from runtime import Classifier, EdgecnnError
from runtime.image.isolated import IsolatedDecoder
from runtime.image.load import load_pixels
from runtime.system.stderr import quiet_command

MODEL_SUFFIXES = (".onnx", ".tflite", ".ncnn")
REPLIES = os.fdopen(os.dup(1), "w", buffering=1)
BLACK = np.zeros((1, 32, 32, 3), np.uint8)


def main() -> None:
    model, address_space = sys.argv[1], int(sys.argv[2])
    classifier = Classifier(model, decoder=IsolatedDecoder() if sys.argv[3:] else load_pixels)
    _warm_up(classifier)
    used = _kibibytes("VmSize") * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + address_space,) * 2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        with quiet_command():  # as in the command line
            _serve(classifier, Path(folder), said)


def _serve(classifier: Classifier, folder: Path, said: IO[bytes]) -> None:
    while header := sys.stdin.buffer.readline():
        entry = json.loads(header)
        if "path" in entry:
            path = Path(entry["path"])
        else:
            path = folder / f"file{entry['suffix']}"
            path.unlink(missing_ok=True)  # ext4 waits for the disk where a file is written over
            path.write_bytes(sys.stdin.buffer.read(entry["size"]))
        REPLIES.write(json.dumps(_judge(classifier, path, said)) + "\n")


def _warm_up(classifier: Classifier) -> None:
    """Load everything that is imported at first use, before the limit is set."""
    from PIL import Image

    Image.init()
    classifier.classify(Image.new("RGB", (40, 40)))


def _kibibytes(name: str, process: str = "self") -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) if found else 0  # of one that has ended


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _judge(classifier: Classifier, path: Path, said: IO[bytes]) -> dict[str, str | int | None]:
    said.seek(0)
    said.truncate()
    for process in ("self", *_children()):
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak begins anew
    before = _kibibytes("VmRSS")
    fault = None
    try:
        if path.suffix in MODEL_SUFFIXES:
            Classifier(path).predict(BLACK)
            outcome = "classifies"
        else:
            outcome = classifier.classify(path).label
    except EdgecnnError as error:
        outcome = type(error).__name__
        if isinstance(error.__cause__, MemoryError) and classifier.decoder is load_pixels:
            fault = "took memory beyond the limit"
        elif not str(error):
            fault = "an error that says nothing"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        outcome = type(error).__name__
        fault = f"not one of ours: {error}"
    sys.stdout.flush()
    sys.stderr.flush()
    said.seek(0)
    if text := said.read(300):
        fault = f"printed: {text!r}"
    peak = _kibibytes("VmHWM") + sum(_kibibytes("VmHWM", process) for process in _children())
    return {"outcome": outcome, "fault": fault, "mebibytes": (peak - before) // 1024, "peak_mebibytes": peak // 1024}


if __name__ == "__main__":
    main()
