"""Every block of docs/runtime.md is run; its outputs are those of the commands, figures apart.

``UPDATE_DOCS=1`` writes the outputs into the document instead.
"""

import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime

PAGE = Path(__file__).parent.parent.parent / "docs" / "runtime.md"
README = PAGE.parent.parent / "README.md"
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
SHORTER = {"--seconds 1": "--seconds 0.1", "tune models/": "tune models/ --seconds 0.1"}
"""How commands of the page are run where their figures are not kept."""
BLOCK = re.compile(r"^```(python|console|console varies)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(carrying, reference, external, images, tmp_path, monkeypatch):  # noqa: PLR0913, PLR0917 - fixtures
    """A folder with the files that the page speaks of."""
    carrying("model_int8.onnx")
    shutil.copy(reference / "model_fp32.onnx", tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("model_int8.onnx", "model_fp32.onnx"):
        shutil.copy(reference / name, tmp_path / "models")
    external([1, 3, 8, 8], np.array([[1.0, -1.0]] * 3))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff what was left of a photo")
    pixels, labels = images
    for label in ("horse", "ship"):
        Image.fromarray(pixels[labels.index(label)]).save(tmp_path / "photos" / f"{label}.png")
    photo = Image.fromarray(pixels[labels.index("ship")]).resize((640, 480))
    photo.save(tmp_path / "photo.jpg", quality=95)
    photo = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "film.mjpeg").write_bytes(photo + b"--boundary\r\n\r\n" + photo + photo[:5000])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(text, names):
    """The statements of a block, each with its present output."""
    lines = []
    for statement in doctest.DocTestParser().get_examples(text):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(statement.source, "page", "single"), names)  # noqa: S102 - our own page
        first, *rest = statement.source.splitlines()
        lines += [f">>> {first}", *(f"... {line}" for line in rest), *output.getvalue().splitlines()]
    return "\n".join(lines) + "\n"


def console(text, stderr=subprocess.STDOUT):
    """The commands of a block, each with its present output."""
    environment = os.environ | {"PYTHONPATH": str(Path(runtime.__file__).parent.parent), "COLUMNS": "100"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    parts = []
    for line in text.splitlines():
        if line.startswith("$ "):
            command = line[2:]
            for typed, shorter in () if UPDATE else SHORTER.items():
                command = command.replace(typed, shorter)
            done = subprocess.run(  # noqa: S602 - our own page, and it pipes
                command, shell=True, stdout=subprocess.PIPE, stderr=stderr, check=False, env=environment
            )
            assert b"Traceback" not in done.stdout
            parts.append(f"{line}\n{done.stdout.decode()}")
    return "".join(parts)


def without_figures(page):
    """The page as it is compared: no numbers, digests or widths of columns, nothing that varies between machines."""
    page = re.sub(r"```console varies\n.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    page = re.sub(r"\b[0-9a-f]{64}\b", "#", page)
    return re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?(e[-+]\d+)?", "#", page))


def test_the_first_command_of_the_readme_works_as_typed(monkeypatch):
    text = README.read_text(encoding="utf-8")
    command = re.search(r"^env/bin/python (-m runtime classify .*)$", text, re.MULTILINE)[1].split()
    monkeypatch.chdir(README.parent)
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    printed = re.search(r"^prints\n\n```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    assert without_figures(done.stdout) == without_figures(printed)


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
def test_the_page_shows_what_the_commands_print():
    page, names = PAGE.read_text(encoding="utf-8"), {}

    def block(match):
        kind, text = match.groups()
        if kind == "python":
            return f"```{kind}\n{python(text, names)}```"
        progress = kind == "console varies"  # how far it is depends on how long it takes
        return f"```{kind}\n{console(text, subprocess.DEVNULL if progress else subprocess.STDOUT)}```"

    now = BLOCK.sub(block, page)
    if UPDATE:
        PAGE.write_text(now, encoding="utf-8")
    else:
        assert without_figures(now) == without_figures(page)
