"""The boards, the bundles for them, and the table of differences between board and PC."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

from docs.figures.documents import replace_marked
from pi import images, parity, root
from pi.board import PROCESSORS, Board
from pi.emulator import registered
from pi.page import FIGURES_OF_PAGE, PAGE

MODELS = ("model_fp32.onnx", "model_int8.onnx", "model_fp32.tflite", "model_int8.tflite")
FIGURES = pytest.StashKey[list[dict[str, object]]]()
PYTEST = ("iniconfig", "packaging", "pluggy", "pygments", "pytest")


@pytest.fixture(scope="session")
def arm64():
    """The cached root file system, and a kernel that runs it."""
    from pipeline.data.cifar10 import cache_dir

    with registered():
        yield root.build(cache_dir())


@pytest.fixture(scope="session")
def place():
    """A temporary folder; mounts of the boards are not visible in it."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-pi-") as name:
        yield Path(name)


@pytest.fixture(scope="session", params=PROCESSORS, ids=list(PROCESSORS))
def processor(request):
    """QEMU's name of it."""
    return request.param


@pytest.fixture(scope="session")
def board(processor, arm64, place, photos):
    """A board as it comes from its first start, with photos in the home folder."""
    root.copy(arm64, place / processor)
    board = Board(place / processor, processor)
    board.take(photos, "photos")
    return board


@pytest.fixture(scope="session")
def bundles(place, reference):
    """A function: the archive of a bundle of the shipped reference, built by the command that ``make bundle`` runs."""

    def build(name, *arguments):
        command = [sys.executable, "-m", "pipeline", "bundle", str(reference), "--name", name, "--out", str(place)]
        subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
        return next(place.glob(f"edgecnn-{name}-*.tar.gz"))

    return build


@pytest.fixture(scope="session")
def first(bundles):
    """The bundle with all four files of the reference, and what MQTT and the page need."""
    return bundles("first", "--artifacts", *MODELS, "--extras", "mqtt", "serve")


@pytest.fixture(scope="session")
def second(bundles, place, photos):
    """An update: one model file, only the project's wheel, and labeled photos."""
    for photo in photos.glob("[0-9]*-*"):
        folder = place / "labeled" / photo.stem.partition("-")[2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder)
    return bundles("second", "--no-wheels", "--acceptance", place / "labeled")


@pytest.fixture(scope="session")
def third(bundles):
    """Another update that needs the same packages as the first, and uses the installed ones."""
    return bundles("third", "--no-wheels", "--extras", "mqtt", "serve")


@pytest.fixture(scope="session")
def desk_answers(place, reference):
    """The probabilities of the PC for the images; see predict.py."""
    images.write(place / "images", reference)
    return parity.predict(sys.executable, reference, place / "images", place / "desk.npz")


@pytest.fixture(scope="session")
def photos(place, desk_answers):  # noqa: ARG001 - it writes them
    """Photos of many formats."""
    return place / "images" / "photos"


@pytest.fixture(scope="session")
def packages_of_pytest(place):
    """A folder for PYTHONPATH with this version of pytest and its dependencies, unpacked from wheels."""
    names = [f"{name}=={metadata.version(name)}" for name in PYTEST]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(place / "wheels"), *names], check=True)
    for wheel in (place / "wheels").glob("*.whl"):
        shutil.unpack_archive(wheel, place / "pytest", "zip")
    return place / "pytest"


@pytest.fixture(scope="session")
def figures(request):
    """Rows of the table that is printed at the end, and with UPDATE_DOCS=1 written into the page."""
    rows = request.config.stash[FIGURES] = []
    yield rows
    if os.environ.get("UPDATE_DOCS"):
        with PAGE.open() as page:
            fcntl.flock(page, fcntl.LOCK_EX)  # the other board's tests may be as far
            known = json.loads(FIGURES_OF_PAGE.read_text(encoding="utf-8")) if FIGURES_OF_PAGE.exists() else []
            measured = {row["processor"] for row in rows}
            rows = sorted(rows + [row for row in known if row["processor"] not in measured], key=_place)
            FIGURES_OF_PAGE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            replace_marked(PAGE, "parity", parity.table(rows))


def _place(row):
    return row["processor"], row["file"]


def pytest_terminal_summary(terminalreporter, config):
    """Print the figures."""
    if rows := config.stash.get(FIGURES, []):
        terminalreporter.section("ARM against x86")
        terminalreporter.write_line(parity.table(rows))
