"""Wrong paths and names are reported at once, before TensorFlow is loaded, which takes ten seconds."""

import json
import subprocess
import sys

import pytest
from PIL import Image

SAID = {
    "train --data nowhere": "nowhere: no such folder; expected one with a folder of photos for each class",
    "train --data a.keras": "a.keras: not a folder; expected one with a folder of photos for each class",
    "train --data one-class": "need a folder of photos for each of at least two classes, found the one class 'ant'",
    "train --data case": "the class folders 'Ant' and 'ant' differ in case alone",
    "train --data photos --none nowhere": "nowhere: no such folder; expected photos of anything that is none of",
    "train --data photos --backbone none.keras": "none.keras: no such file",
    "train --validation-images 999": "validation images must be 1,000 to 5,000 of CIFAR-10, got 999",
    "train --data photos --validation-images 2000": "for own photos give --validation-share X instead",
    "train --teacher none.keras": "none.keras: no such file",
    "train --data photos --extra nowhere --student notes": "nowhere: no readable photos (No such file or directory)",
    "train --out /proc/out": "/proc: model.keras cannot be written",
    "photos nowhere": "nowhere: no such folder; expected one with a folder of photos for each class",
    "photos one-class": "need a folder of photos for each of at least two classes, found the one class 'ant'",
    "photos photos --none nowhere": "nowhere: no such folder; expected photos of anything that is none of",
    "photos photos --extra nowhere --student notes": "nowhere: no readable photos (No such file or directory)",
    "photos photos --out /proc/out": "/proc: model.keras cannot be written",
    "export --model none.keras --out out": "none.keras: no such file; expected a .keras or .h5 file",
    "export --model a.keras --out out --classes none.txt": "none.txt: no readable list of classes",
    "export --model a.keras --out out --classes twice.txt": "twice.txt: names 'ant' twice",
    "export --model a.keras --out out --data nowhere": "nowhere: no such folder",
    "export --model a.keras --out out --data photos --classes case.txt": "ant, bee differ only in case from classes",
    "evaluate a.keras --data photos --classes case.txt": "rename the folders, or the classes in the file of --classes",
    "export --model a.keras --out out --calibration nowhere": "nowhere: no readable photos",
    "export --model a.keras --out out --trust-code none.py": "none.py: expected a Python file",
    "export --model a.keras --out out --width 8": "--width 8 needs --height PIXELS",
    "export --model a.keras --out out --preset tf --mean 1": "--preset tf sets --mean",
    "export --model a.keras --out out --unknown photos --keep 1": "--keep 1 sets none",
    "export --model a.keras --out /proc/out": "/proc: manifest.json cannot be written",
    "verify nowhere": "manifest.json: not there; run python -m pipeline export first",
    "verify REFERENCE --data nowhere": "nowhere: no such folder",
    "verify REFERENCE --photos nowhere": "nowhere: no readable photos",
    "verify REFERENCE --trust-code none.py": "none.py: expected a Python file",
    "drift nowhere": "manifest.json: not there",
    "drift REFERENCE --images 0": "--images takes 1 or more, got 0",
    "bench nowhere": "manifest.json: not there",
    "bench REFERENCE --data nowhere": "nowhere: no such folder",
    "bench REFERENCE --engines keras onnx": "no engine is called 'onnx': there are onnxruntime, litert, openvino, ncnn",
    "bench REFERENCE --engines kers": ", keras, keras-compiled, tensorflow, onnxruntime-web",
    "evaluate none.keras": "none.keras: no such file",
    "evaluate a.keras --data nowhere": "nowhere: no such folder",
    "evaluate a.keras --out /proc/out": "/proc: evaluation.json cannot be written",
    "explain none.keras photo.png --out out.png": "none.keras: no such file",
    "explain a.keras none.png --out out.png": "none.png: ",
    "explain a.keras photo.png --out /proc/out.png": "/proc: out.png cannot be written",
}
CODE = """
import contextlib, io, json, sys
from pipeline.cli import main

answers = {}
for command, arguments in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(arguments)
    answers[command] = (status, said.getvalue(), "tensorflow" in sys.modules or "keras" in sys.modules)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(reference, repository, tmp_path_factory):
    """Run all commands in one new process; for each the exit status, the message, and whether TensorFlow is loaded."""
    folder = tmp_path_factory.mktemp("before")
    for name in ("one-class/ant", "case/ant", "case/Ant", "photos/ant", "photos/bee"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "photo.png")
    (folder / "a.keras").write_bytes(b"not looked into")
    (folder / "case.txt").write_text("Ant\nBee\n")
    (folder / "twice.txt").write_text("ant\nbee\nant\n")
    commands = {
        command: [str(reference) if part == "REFERENCE" else part for part in command.split()] for command in SAID
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=folder,
        env={"PYTHONPATH": str(repository), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", SAID)
def test_it_is_refused_before_tensorflow_is_loaded(command, answers):
    status, said, loaded = answers[command]
    assert (status, said.count("\n")) == (2, 1), said
    assert said.startswith("error: ")
    assert SAID[command] in said
    assert not loaded
