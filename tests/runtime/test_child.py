"""Child processes run this package, and no module of the current folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime

ROOT = Path(runtime.__file__).parents[1]
PACKAGES = ("numpy", "PIL", "onnxruntime", "runtime", "ai_edge_litert", "sitecustomize", "usercustomize")


@pytest.fixture
def traps(tmp_path):
    """A folder with a file for every module that a child could import; each that runs leaves its name in ``ran``."""
    folder = tmp_path / "current"
    folder.mkdir()
    for name in (*PACKAGES, *sys.stdlib_module_names):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "MODEL"],
        pytest.param(
            ["bench", "MODEL", "--engines", "onnxruntime", "--threads", "1", "--seconds", "0.2"], marks=pytest.mark.slow
        ),
        pytest.param(["tune", "FOLDER", "--seconds", "0.2"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("flags", [["-P"], ["-I"]], ids="".join)
def test_nothing_of_the_current_folder_is_run(traps, reference, tmp_path, arguments, flags):
    models = tmp_path / "models"
    models.mkdir()
    model = shutil.copy(reference / "model_int8.onnx", models)
    places = {"MODEL": str(model), "FOLDER": str(models)}
    command = [sys.executable, *flags, "-m", "runtime", *(places.get(text, text) for text in arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONHOME": "/nowhere"} if "-I" in flags else {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=traps, env=environment, capture_output=True, text=True, check=False)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
