"""The number of threads is limited, and a forked process gets an error if its models would hang."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from runtime import Classifier, ModelFormatError
from runtime.commands import threads
from runtime.engines.registry import OWN, find
from runtime.system.processors import most_threads
from runtime.tuning import TUNING_FILE

TOO_MANY = [100_000, 10**20]


@pytest.mark.parametrize("count", [0, -1, most_threads() + 1, *TOO_MANY])
def test_a_number_of_threads_that_the_machine_has_not_is_refused(count, reference, images):
    model = reference / "model_int8.onnx"
    with pytest.raises(ValueError, match=f"threads must be 1 to {most_threads()} on this machine .* got {count}$"):
        Classifier(model, threads=count)
    with pytest.raises(ValueError, match=f"workers must be 1 to {most_threads()} on this machine"):
        Classifier(model).classify_many(images[0], workers=count)


def test_more_threads_than_processors_can_be_had(reference, images):
    classifier = Classifier(reference / "model_int8.onnx", threads=most_threads())
    assert (
        classifier.classify(images[0][0]).label
        == Classifier(reference / "model_int8.onnx").classify(images[0][0]).label
    )
    assert len(list(classifier.classify_many(images[0], workers=most_threads()))) == len(images[0])


@pytest.mark.parametrize("count", [most_threads() + 1, *TOO_MANY])
def test_a_choice_of_more_threads_is_refused(count, reference, tmp_path):
    (tmp_path / "model_int8.onnx").write_bytes((reference / "model_int8.onnx").read_bytes())
    choice = {"format": "edgecnn-runtime", "version": 1, "artifact": "model_int8.onnx", "engine": "onnxruntime"}
    (tmp_path / TUNING_FILE).write_text(json.dumps({**choice, "threads": count, "sha256": "0" * 64}))
    with pytest.raises(ModelFormatError, match=r"threads must be 1 to .*: run python -m runtime tune .* again"):
        Classifier(tmp_path)


@pytest.mark.parametrize("count", TOO_MANY)
@pytest.mark.parametrize("option", ["--threads", "--workers"])
def test_the_command_line_refuses_them_too(option, count, reference):
    command = [sys.executable, "-m", "runtime", "classify", str(reference / "model_int8.onnx"), "p.png"]
    done = subprocess.run([*command, option, str(count)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"argument {option}: expected " in done.stderr
    assert threads("1") == 1


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
FORKS = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")  # from 3.12 on Python warns of every fork beside threads
def outcomes(count, act):
    found = set()
    for _ in range(count):
        child = os.fork()
        if not child:
            signal.alarm(60)
            try:
                act()
                os._exit(0)
            except ForkedProcessError as error:
                os._exit(3 if str(error).startswith("this process was forked while another thread used") else 4)
        found.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return sorted(found)
from runtime import Classifier, ForkedProcessError
"""


def forks(code, *arguments):
    command = [sys.executable, "-c", FORKS + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_fork
def test_a_child_forked_while_a_thread_was_inside_is_told_so():
    """Deterministic: the thread stays inside for as long as the parent lives."""
    code = """
from runtime.system.fork import guarded
entered, stay = threading.Event(), threading.Event()
run = guarded(lambda wait: wait and (entered.set(), stay.wait()))
inside = threading.Thread(target=run, args=(True,), daemon=True)
before = outcomes(1, lambda: run(False))
inside.start(); entered.wait()
during = outcomes(1, lambda: run(False))
again = outcomes(1, lambda: [outcomes(1, lambda: run(False)) == [3] or os._exit(5), run(False)])
run(False)  # the parent itself goes on
stay.set(); inside.join()
print([before, during, again, outcomes(1, lambda: run(False))])
"""
    assert forks(code) == [[0], [3], [3], [0]]


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=pytest.mark.skipif(not find_spec(find(name).package), reason=f"{name} not installed"))
        for name in OWN
    ],
)
def test_a_forked_child_answers_or_is_refused_and_never_hangs(engine, count, reference, archived):
    model = reference / ("model_int8.tflite" if engine == "litert" else "model_int8.onnx")
    model = archived(np.eye(4, 3)) if engine == "ncnn" else model
    code = """
import numpy as np
path, engine, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
classifier = Classifier(path, threads, engine=engine)
pixels = np.zeros((16, classifier.spec.side, classifier.spec.side, 3), np.uint8)
classifier.predict(pixels)
def use(): classifier.predict(pixels)
def load(): Classifier(path, threads, engine=engine).predict(pixels)
idle = [outcomes(2, use), outcomes(2, load)]
def busy():
    while True: classifier.predict(pixels)
for _ in range(2): threading.Thread(target=busy, daemon=True).start()
time.sleep(0.2)
print([idle, [outcomes(6, use), outcomes(6, load)]], flush=True)
os._exit(0)
"""
    idle, busy = forks(code, model, engine, count)
    refused = engine == "ncnn" and count == 2
    assert idle == ([[3], [3]] if refused else [[0], [0]])
    assert {status for outcome in busy for status in outcome} <= {0, 3}
