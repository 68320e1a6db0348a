"""Each command of each document is accepted by the command lines, the quick ones run, and each link has a target.

tests/runtime/test_docs.py runs docs/runtime.md, tests/pi runs docs/raspberry-pi.md, and the tests of each command show
that the others do what the page says.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from docs.figures import cli as figures_cli
from pipeline import cli as pipeline_cli
from runtime import cli as runtime_cli

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```.*\n((?s:.*?))^```$", re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#]+)")
PYTHON = re.compile(r"(?:\S*/)?python3? -m (pipeline|runtime|docs\.figures)( .*|$)")
MAKE = re.compile(r"make( .*|$)")
BOARD = re.compile(r"(?:\S*/)?edgecnn( [a-z-].*)")
PARSERS = {
    "pipeline": pipeline_cli.parse,
    "runtime": runtime_cli.parse,
    "docs.figures": lambda arguments: figures_cli.parse(arguments, figures_cli.COMMANDS),
}


def lines(text):
    """The commands of a page: lines of code blocks, with continuation lines joined, and texts between backticks."""
    for block in BLOCK.findall(text):
        whole = block.replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in whole if line.startswith("$ ")]  # the others are what they print
        for command in re.split(r" \| | && |\n", "\n".join(typed or whole)):
            yield command.removesuffix(" &&").strip(), True
    for command in INLINE.findall(BLOCK.sub("", text)):
        yield command, False


def commands():
    found = {}
    for page in PAGES:
        for command, complete in lines(page.read_text(encoding="utf-8")):
            python, board, make = PYTHON.fullmatch(command), BOARD.fullmatch(command), MAKE.fullmatch(command)
            module = python[1] if python else "runtime" if board else "make" if make else None
            match = python or board or make
            words = shlex.split(match[match.lastindex], comments=True) if match else []
            if words or module == "make":
                found[f"{page.name}: {command[:90]}"] = (module, words, complete)
    return found


COMMANDS = commands()
PYTHONS = [name for name, (module, *_) in COMMANDS.items() if module in PARSERS]
MAKES = [name for name, (module, *_) in COMMANDS.items() if module == "make"]


QUICK = re.compile(r"summary .*|explain artifacts/reference/.*")
"""Commands of the pipeline that need neither training nor measurement, and only shipped files."""
REPLACED = {"0.0.0.0": "127.0.0.1", "mqtt://me@broker.local/edgecnn/door": "mqtt://me@127.0.0.1:9/edgecnn/door"}  # noqa: S104


def test_commands_are_found():
    assert {module for module, *_ in COMMANDS.values()} == {*PARSERS, "make"}
    assert len(PYTHONS) > 60
    assert len(MAKES) > 20


@pytest.mark.parametrize("name", PYTHONS)
def test_a_command_line_takes_it(name, capsys):
    module, words, complete = COMMANDS[name]
    if complete and "--help" not in words:
        assert PARSERS[module](words).run
    else:
        with pytest.raises(SystemExit) as ended:
            PARSERS[module]([*words[:1], "--help"] if words[0] != "--help" else words)
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert not [word for word in words if word.startswith("--") and word not in text]
    for word in words:
        if word.startswith(("artifacts/reference/", "docs/")):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("name", MAKES)
def test_make_has_its_target(name):
    words = [word.replace("DIR", "photos") for word in COMMANDS[name][1]]
    subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)  # noqa: S607 - the make of PATH


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / unquote(link)).exists()]
    assert not missing


@pytest.fixture
def desk(reference, tmp_path, monkeypatch):
    """A folder with the files of a reader, and a film of twelve frames, half of them black."""
    for name in ("model_int8.onnx", "photo.jpg"):
        shutil.copy(reference / name, tmp_path)
    (tmp_path / "artifacts").symlink_to(reference.parent)
    Image.new("RGB", (64, 64)).save(tmp_path / "black.jpg")
    film = b"".join((tmp_path / name).read_bytes() * 6 for name in ("photo.jpg", "black.jpg"))
    (tmp_path / "film.mjpeg").write_bytes(film)
    (tmp_path / "lamp").write_text('#!/bin/sh\necho lamp "$@"\n', encoding="utf-8")
    (tmp_path / "lamp").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def on_a_film(words):
    """The command with frames of stdin instead of a camera, and with hosts of this machine."""
    command, *rest = [REPLACED.get(word, word) for word in words]
    if "--camera" in rest:
        place = rest.index("--camera")
        del rest[place : place + 2]
    port = ["--port", "0"] * (command == "serve")
    return [command, *rest, *port, *["--no-drop", "--min-seconds", "0"] * (command != "doctor")]


@pytest.mark.slow
def test_commands_of_the_field_page_run_on_a_film(desk):
    for package in ("paho.mqtt", "waitress"):
        pytest.importorskip(package)
    words_of = [words for name, (module, words, complete) in COMMANDS.items()
                if name.startswith("field.md") and module == "runtime" and complete]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "EDGECNN_TOKEN": "0123456789abcdef", "EDGECNN_MQTT_PASSWORD": "secret"
    }  # fmt: skip
    printed = ""
    for words in words_of:
        with (desk / "film.mjpeg").open("rb") as film:
            done = subprocess.run(
                [sys.executable, "-m", "runtime", *on_a_film(words)],
                stdin=film, capture_output=True, text=True, check=False, timeout=120, env=environment,
            )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        assert words[0] == "doctor" or "horse begins" in done.stdout, words
        printed += done.stdout + done.stderr
    assert {words[0] for words in words_of} == {"stream", "serve", "doctor"}
    for shown in ("lamp --pin 17 begins horse", "learning what is usual here", "mqtt: 127.0.0.1:9 cannot be reached"):
        assert shown in printed
    assert list((desk / "frames").glob("*.jpg"))


@pytest.mark.slow
def test_quick_commands_of_the_pipeline_run(desk, capfd):
    found = [words for module, words, complete in COMMANDS.values()
             if module == "pipeline" and complete and QUICK.fullmatch(shlex.join(words))]  # fmt: skip
    assert len(found) > 1
    for words in found:
        assert pipeline_cli.main(words) == 0, words
    assert "resnet8: MLPerf Tiny" in capfd.readouterr().out
    assert (desk / "photo.png").is_file()


def program(page, text):
    """The code block of a page that contains ``text``."""
    return next(block for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if text in block)


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
def test_programs_of_the_pages_run(monkeypatch, capsys):
    photo, done = np.asarray(Image.open("photo.jpg").convert("RGB")), []

    def frames():
        for frame in [photo] * 15 + [np.zeros_like(photo)] * 40:
            time.sleep(0.06)
            yield frame

    lamp = SimpleNamespace(on=lambda: done.append("on"), off=lambda: done.append("off"))
    camera = SimpleNamespace(
        create_video_configuration=dict, configure=done.append, start=lambda: None,
        capture_array=lambda: np.ascontiguousarray(photo[..., ::-1]),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "gpiozero", SimpleNamespace(LED=lambda _pin: lamp))
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=lambda: camera))
    names = {"frames": frames()}
    for page, text in (
        ("README.md", "from runtime import Classifier"), ("docs/field.md", "gpiozero"), ("docs/field.md", "picamera2")
    ):  # fmt: skip
        exec(program(page, text).replace('"bird"', '"horse"'), names)  # noqa: S102 - our own pages
    assert done[:2] == ["on", "off"]
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("horse 0.9")
    assert last == "horse"
