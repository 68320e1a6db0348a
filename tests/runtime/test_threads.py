"""Threads are bounded by the machine, and a process that forks is told where its models would hang."""

import json
import subprocess
import sys

import pytest

from runtime import Classifier, ModelFormatError
from runtime.choice import CHOICE_FILE
from runtime.commands import threads
from runtime.system.processors import most_threads

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
    (tmp_path / CHOICE_FILE).write_text(json.dumps({**choice, "threads": count, "sha256": "0" * 64}))
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
