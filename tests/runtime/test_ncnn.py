"""NCNN, on graphs written by hand."""

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runtime import Classifier, ModelDigestError, ModelFormatError, ModelSpec, ModelSpecError
from runtime.engines.checksum import add_checksum
from runtime.engines.ncnn import NcnnBackend
from runtime.engines.ncnn_file import read_ncnn
from tiny_ncnn import GRAPH

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="NCNN is not installed")

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3)) / 50
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)


def expected(pixels):
    logits = pixels.mean(axis=(1, 2)) @ WEIGHTS.T
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_pixels_become_probabilities(archived, threads):
    classifier = Classifier(archived(WEIGHTS), threads)
    assert classifier.backend == "ncnn"
    assert [str(tensor) for tensor in (*classifier.inputs, *classifier.outputs)] == [
        "in0: uint8 [N, 8, 8, 3]",
        "out0: float32 [N, 4]",
    ]
    answers = classifier.predict(PIXELS)
    assert answers.dtype == np.float32
    assert np.allclose(answers, expected(PIXELS), atol=1e-5)
    assert classifier.predict(PIXELS[:0]).shape == (0, 4)
    turned = PIXELS.transpose(0, 2, 1, 3)  # not contiguous
    assert np.allclose(classifier.predict(turned), expected(turned), atol=1e-5)


def test_a_graph_of_dense_layers_alone_answers_in_rows(archived):
    """As pnnx writes it: a vector is a map of one row, and so is the answer."""
    flat = "Reshape  flat 1 1 1 r 0=3 1=1\nInnerProduct dense 1 1 r 2"
    rows = GRAPH.replace("4 4", "5 5").replace("InnerProduct dense 1 1 1 2", flat).replace("out0 0=0", "out0 0=1")
    answers = Classifier(archived(WEIGHTS, param=rows)).predict(PIXELS)
    assert answers.shape == (5, 4)
    assert np.allclose(answers, expected(PIXELS), atol=1e-5)


def test_logits_with_the_name_of_familiarity_tell_it(archived):
    graph = GRAPH.replace("1 1 1 2 ", "1 1 1 familiarity ").replace("1 1 2 out0", "1 1 familiarity out0")
    spec = ModelSpec(8, tuple("abcd"), known_threshold=0.0).to_json()
    content = archived(WEIGHTS, param=graph, spec=spec)
    answers, scores = NcnnBackend(content.read_bytes(), "model.ncnn", 1).scored(PIXELS)
    assert np.allclose(answers, expected(PIXELS), atol=1e-5)
    assert np.allclose(scores, (PIXELS.mean(axis=(1, 2)) @ WEIGHTS.T).max(axis=1), atol=1e-4)
    known = [answer.is_known for answer in Classifier(content).classify_many(PIXELS)]
    assert known == (scores >= 0).tolist()


def test_it_takes_the_threads_that_it_is_given_and_no_graphics_card(archived):
    content = archived(WEIGHTS).read_bytes()
    for threads in (1, 2):
        options = NcnnBackend(content, "model.ncnn", threads)._net.opt  # noqa: SLF001 - what the engine was told
        assert options.num_threads == threads
        assert not options.use_vulkan_compute
        assert not options.use_fp16_arithmetic


@pytest.mark.parametrize(("precision", "in_half"), [("fp16", True), ("fp32", False)])
def test_it_computes_in_the_precision_that_the_file_says(archived, precision, in_half):
    content = archived(WEIGHTS, spec=ModelSpec(8, tuple("abcd"), precision).to_json()).read_bytes()
    backend = NcnnBackend(content, "model.ncnn", 1)
    options = backend._net.opt  # noqa: SLF001 - what the engine was told
    assert options.use_fp16_arithmetic == options.use_fp16_storage == options.use_fp16_packed == in_half
    assert np.allclose(backend(PIXELS), expected(PIXELS), atol=0.02 if in_half else 1e-5)


def test_a_broken_spec_is_said_by_who_reads_it(archived):
    with pytest.raises(ModelSpecError, match="model spec is not readable"):
        Classifier(archived(WEIGHTS, spec="{"))


def test_many_threads_at_once_get_the_answers_of_one(archived):
    classifier = Classifier(archived(WEIGHTS))
    alone = classifier.predict(PIXELS)
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: classifier.predict(PIXELS), range(64)):
            assert np.array_equal(answers, alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"param": None}, "no model.ncnn.param and model.ncnn.bin"),
        ({"bin": None}, "no model.ncnn.param and model.ncnn.bin"),
        ({"param": "junk"}, "its graph cannot be run .not an NCNN graph"),
        ({"param": GRAPH.replace(" 0=8 1=8 2=3", "")}, ".* does not have one input"),
        ({"param": GRAPH.replace("Softmax", "Softer ")}, "NCNN .* cannot load it"),
        ({"param": GRAPH.replace("7767517", "7767518")}, ".*not an NCNN graph"),
        ({"bin": bytes(20)}, "NCNN .* cannot load it"),
    ],
)
def test_a_graph_that_cannot_be_loaded_is_refused(archived, changes, message):
    with pytest.raises(ModelFormatError, match=rf"model\.ncnn: {message}"):
        Classifier(archived(WEIGHTS, **changes))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("1 1 in0 1 ", "1 1 in7 1 ", "no earlier layer makes"),
        ("1 1 1 2 ", "1 1 2 2 ", "no earlier layer makes"),
        ("1 1 2 out0", "1 1 2 1", "repeats an output"),
        ("1 1 2 out0", "1 2 2 out0 out0", "repeats an output"),
        ("1 1 2 out0", "1 0 2", "repeats an output"),
        ("4 4\n", "4 5\n", "declares 5 tensors and has 4"),
        ("4 4\n", "5 4\n", "declares 5 layers and has 4"),
        ("4 4\n", "-4 4\n", "not an NCNN graph"),
        ("2=12", "2=2000000000", "a number above"),
        ("2=12", "2=12 2=12", "is incomplete"),
        ("2=12", "99=12", "is incomplete"),
        ("2=12", "-23302=2,12", "is incomplete"),
        ("2=12", "2=1e", "is incomplete"),
        ("dense 1 1 1 2", "dense 1 9 1 2", "is incomplete"),
        ("dense 1 1", "dense 1 x", "is not a layer"),
        ("0=8 1=8", "0=8.5 1=8", "does not have one input"),
        ("InnerProduct", "Inner\u00e9", "ascii"),
    ],
)
def test_a_text_that_ncnn_must_not_see_is_refused(old, new, why):
    assert old in GRAPH
    read_ncnn(GRAPH.encode(), 52)
    with pytest.raises(ValueError, match=why):
        read_ncnn(GRAPH.replace(old, new, 1).encode(), 52)


def test_a_spec_of_another_graph_is_refused(archived):
    with pytest.raises(ModelSpecError, match=r"model\.ncnn: has no model spec"):
        Classifier(archived(WEIGHTS, spec=None))
    with pytest.raises(ModelSpecError, match="side 16, the graph takes in0"):
        Classifier(archived(WEIGHTS, spec=ModelSpec(16, ("a", "b", "c", "d")).to_json()))
    with pytest.raises(ModelSpecError, match="names 2 classes"):
        Classifier(archived(WEIGHTS, spec=ModelSpec(8, ("a", "b")).to_json()))


def test_no_damaged_file_reaches_the_engine(archived):
    path = archived(WEIGHTS)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.unlink()  # ext4 waits for the disk where a file is written over
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        with pytest.raises((ModelDigestError, ModelFormatError, ModelSpecError), match=r"model\.ncnn"):
            Classifier(path)
        path.unlink()
        path.write_bytes(content[:position])
        with pytest.raises((ModelDigestError, ModelFormatError, ModelSpecError), match=r"model\.ncnn"):
            Classifier(path)
    path.write_bytes(add_checksum(b"no archive"))
    with pytest.raises(ModelFormatError, match="no ZIP archive"):
        Classifier(path)


def test_it_is_a_model_file_like_the_others(archived):
    path = archived(WEIGHTS)

    def call(*arguments):
        command = [sys.executable, "-m", "runtime", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    card = json.loads(call("inspect", path, "--json").stdout)
    assert (card["engine"], card["side"], card["golden_images"]) == ("ncnn", 8, 0)
    done = call("verify", path, "--engine", "onnxruntime")
    assert done.returncode == 2
    assert done.stderr == f"error: {path}: ONNX Runtime reads files that end in .onnx; ncnn reads this one\n"
