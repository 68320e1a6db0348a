"""An older Python gets one sentence that says which is needed."""

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import runtime

PACKAGE = Path(runtime.__file__).parent
OLD = [(3, minor) for minor in range(7, 11)]
SENTENCE = "edgecnn needs Python 3.11 or newer, this is Python {}.{} ("


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_what_it_reads_before_the_sentence_is_its_syntax(version, name):
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=version)


def test_nothing_is_imported_before_the_sentence():
    first = next(
        node
        for node in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
        if not isinstance(node, ast.Expr)
    )
    assert ast.unparse(first) == "import sys"


def interpreter(version):
    """An interpreter of this version that works, if there is one here."""
    name = "python{}.{}".format(*version)
    roots = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{name[6:]}.*/bin/{name}"))
    found = str(roots[-1]) if roots else shutil.which(name)
    works = found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    return found if works else None


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("how", ["import", "command"])
def test_an_old_interpreter_says_which_is_needed(version, how, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version[0]}.{version[1]} here")
    shutil.copytree(PACKAGE, tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    arguments = ["-c", "import runtime"] if how == "import" else ["-m", "runtime", "classify", "m.onnx", "p.jpg"]
    done = subprocess.run([python, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    sentence = SENTENCE.format(*version)
    if how == "command":
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {sentence}")
        assert len(done.stderr.splitlines()) == 1
    else:
        assert done.stderr.splitlines()[-1].startswith(f"ImportError: {sentence}")
