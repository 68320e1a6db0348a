"""Start-up on a device stays small, counted in imported modules, which dominate a cold start."""

import subprocess
import sys

import pytest
from PIL import Image

ENGINE = "import numpy, PIL.JpegImagePlugin, onnxruntime"
"""What any program that runs an ONNX file on a JPEG imports."""
HEAVY = ["asyncio", "concurrent.futures", "csv", "ctypes", "hashlib", "importlib.metadata", "multiprocessing", "ssl"]
HEAVY += ["tempfile", "urllib.request", "xml.etree", "zipfile"]
MOST_OWN, MOST_OTHERS = 42, 28
"""``classify`` on one JPEG: modules of this package, and modules beyond ``ENGINE``'s of Python and numpy."""


def modules(code, *arguments):
    """The names of the modules that are loaded in a new process after running some code."""
    code = f"{code}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split(" "))


@pytest.fixture(scope="module")
def loaded(reference, tmp_path_factory):
    """The modules that ``classify`` loads in addition to numpy, Pillow and the engine."""
    photo = tmp_path_factory.mktemp("small") / "photo.jpg"
    Image.new("RGB", (64, 48)).save(photo)
    code = "import sys; from runtime.cli import main; assert main(sys.argv[1:]) == 0"
    return modules(code, "classify", reference / "model_int8.onnx", photo) - modules(ENGINE)


def test_what_names_a_photo_is_few_modules(loaded):
    own = {name for name in loaded if name.partition(".")[0] == "runtime"}
    assert 20 < len(own) <= MOST_OWN, sorted(own)
    others = {name for name in loaded - own if name.partition(".")[0] != "PIL"}  # old versions import more themselves
    assert len(others) <= MOST_OTHERS, sorted(others)


@pytest.mark.parametrize("heavy", HEAVY)
def test_what_costs_milliseconds_is_not_among_them(heavy, loaded):
    assert heavy not in loaded


def test_the_import_brings_in_nothing_but_errors():
    loaded = modules("import runtime") - modules("import os, importlib, typing")
    assert {name for name in loaded if name.partition(".")[0] != "runtime"} == set()
    assert loaded == {"runtime", "runtime.errors"}
