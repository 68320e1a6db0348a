"""Loading a model does not change the process; our command lines show only their own output."""

import io
import os
import struct
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from runtime.engines.registry import OWN, find
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(not find_spec(find(name).package), reason=f"{name} is not installed"))
    for name in OWN
]

STATE = """
import json, logging, os, signal, sys, threading, warnings
def state():
    numbers = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
    return {
        "descriptors": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "streams": [id(sys.stdin), id(sys.stdout), id(sys.stderr)],
        "warnings": [list(map(repr, warnings.filters)), repr(warnings.showwarning)],
        "signals": {number.name: repr(signal.getsignal(number)) for number in numbers},
        "environment": {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"},
        "loggers": [repr(logging.getLogger(name).handlers) for name in (None, "PIL")],
        "hooks": [repr(sys.excepthook), repr(threading.excepthook)],
        "folder": [os.getcwd(), os.umask(0o22)],
    }
"""


def python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


@pytest.fixture
def model_for(reference, archived):
    """A function: a model file that an engine reads."""

    def of(engine):
        if engine == "ncnn":
            return archived(np.eye(4, 3))
        return reference / ("model_int8.tflite" if engine == "litert" else "model_int8.onnx")

    return of


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), (40, 90, 200)).save(path)
    return path


@pytest.fixture
def odd_tiff(tmp_path):
    """A file that Pillow warns about: its directory declares two values for ResolutionUnit but has one."""
    stream = io.BytesIO()
    Image.new("RGB", (40, 40), (1, 2, 3)).save(stream, "TIFF", dpi=(72, 72))
    content = bytearray(stream.getvalue())
    content[content.index(struct.pack("<HHI", 296, 3, 1)) + 4] = 2
    path = tmp_path / "odd.tif"
    path.write_bytes(content)
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the descriptors from /proc")
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_the_process_changes_while_models_are_loaded_in_threads(engine, model_for, photo):
    """Compared is the state at many moments: what is put back afterwards is seen too."""
    code = f"""{STATE}
from concurrent.futures import ThreadPoolExecutor
from runtime import Classifier
before, seen, ended = state(), [], threading.Event()
def watch():
    while not ended.is_set():
        seen.append(state())
watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
for _ in range(3):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Classifier(sys.argv[1], engine=sys.argv[2]).classify(sys.argv[3]), range(4)))
ended.set()
watcher.join()
seen.append(state())
changed = {{key: (before[key], other[key]) for other in seen for key in before if other[key] != before[key]}}
print(len(seen) > 3, json.dumps(changed))
"""
    done = python(code, model_for(engine), engine, photo)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True {}\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_without_stderr_classifies(engine, model_for, photo):
    code = (
        "import sys; sys.stderr = None; from runtime import Classifier; "
        "print(Classifier(sys.argv[1], engine=sys.argv[2]).classify(sys.argv[3]).label)"
    )
    done = python(code, model_for(engine), engine, photo)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_pillows_warnings_are_the_programs_to_filter(odd_tiff):
    with pytest.warns(UserWarning, match="tag 296"):
        load_pixels(odd_tiff, ModelSpec(32, ("a", "b")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (load_pixels(odd_tiff, ModelSpec(32, ("a", "b"))) == (1, 2, 3)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_line_shows_no_noise(engine, model_for, photo, odd_tiff):
    command = [sys.executable, "-m", "runtime", "classify", model_for(engine), photo, odd_tiff, "--engine", engine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


CLOSED = {
    "2>&-": (0, 1, 0),
    "<&-": (0, 1, 0),
    ">&-": (2, 0, 1),
    ">&- 2>&-": (2, 0, 0),
    "<&- 2>&-": (0, 1, 0),
    "<&- >&- 2>&-": (2, 0, 0),
}
"""The shell's way to close streams: status, lines on stdout, lines on stderr."""


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("missing", [False, True], ids=["a photo", "a model that is not there"])
def test_closed_streams_are_one_line_at_most(closed, missing, reference, photo):
    model = reference / ("none.onnx" if missing else "model_int8.onnx")
    script = f'exec "$0" -m runtime classify "$1" "$2" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable, model, photo], capture_output=True, text=True, check=False
    )
    status, answers, errors = (2, 0, int("2>&-" not in closed)) if missing else CLOSED[closed]
    shown = (done.returncode, len(done.stdout.splitlines()), len(done.stderr.splitlines()))
    assert shown == (status, answers, errors), done.stderr


@pytest.mark.parametrize("command", ["classify", "stream"])
def test_reading_a_closed_stdin_is_one_line(command, reference):
    images = ["-"] if command == "classify" else []
    script = 'exec "$0" -m runtime "$@" <&-'
    arguments = ["/bin/sh", "-c", script, sys.executable, command, reference / "model_int8.onnx", *images]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_an_output_file_does_not_get_what_would_go_to_a_closed_stderr():
    """A file that is opened while descriptor 2 is free would get that number, and engines print to it."""
    code = (
        "import os; from runtime.system.stderr import open_closed_streams; open_closed_streams(); "
        "print(os.open(os.devnull, os.O_RDONLY) > 2)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "{code}" 2>&-', sys.executable], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n"
