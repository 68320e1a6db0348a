"""What a command does before TensorFlow is loaded: hardly any imports, and one line that says what takes so long."""

import subprocess
import sys

import pytest

FAKE = "import os; os.write(1, b'TensorFlow is imported here\\n'); os._exit(7)"
HEAVY = {"IPython", "keras", "matplotlib", "onnx", "onnxruntime", "scipy", "tensorflow", "urllib.request"}


@pytest.mark.parametrize("command", ["verify", "evaluate", "summary"])
def test_a_line_announces_tensorflow_before_it_is_imported(command, reference, repository, tmp_path):
    (tmp_path / "tensorflow.py").write_text(FAKE)
    places = {"verify": [reference], "evaluate": [reference / "model.keras", "--out", tmp_path], "summary": []}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", command, *map(str, places[command])],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{repository}", "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stdout == "loading TensorFlow, which takes ten seconds or more\nTensorFlow is imported here\n"


def test_the_command_line_imports_nothing_that_takes_long(repository):
    code = f"import sys, pipeline.cli; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
