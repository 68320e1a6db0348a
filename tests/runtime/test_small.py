"""What a device has to carry stays small."""

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

from PIL import Image

import runtime

PACKAGE = Path(runtime.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_LOGICAL_LINES = 1_800


def logical_lines(path):
    """Statements, whatever number of lines each is written on; docstrings and comments are not counted."""
    text = path.read_text(encoding="utf-8")
    docstrings = sum(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for node in ast.walk(ast.parse(text))
    )
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.NEWLINE for token in tokens) - docstrings


def test_what_names_a_photo_is_small(reference, tmp_path):
    """The modules that ``classify`` brings in, and not the commands, engines and checks that it does without."""
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    code = (
        "import sys; from runtime.cli import main; main(sys.argv[1:]); "
        "print(*(module.__file__ for name, module in sys.modules.items() if name.partition('.')[0] == 'runtime'))"
    )
    command = [sys.executable, "-c", code, "classify", reference / "model_int8.onnx", tmp_path / "photo.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used = [Path(name) for name in done.stdout.splitlines()[-1].split(" ")]
    assert len(used) > 10
    assert sum(map(logical_lines, used)) < MAX_LOGICAL_LINES


def test_import_is_quick_because_it_brings_nothing_heavy():
    heavy = "{'numpy', 'PIL', 'onnxruntime', 'ai_edge_litert', 'argparse'}"
    code = f"import runtime, sys; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
