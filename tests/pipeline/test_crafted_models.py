"""The fuzzer's crafted model files that must be refused before an engine loads them, under a memory limit."""

import pytest

from fuzz.campaign import MEMORY_MIB
from fuzz.crafted_models import contained, refused
from fuzz.sandbox import Sandbox

REFUSED = [(name, make) for name, make in refused() if not name.startswith("golden")]
"""Golden sets are read when they are asked for."""
ERRORS = {"ModelFormatError", "ModelSpecError", "ModelDigestError"}
UNREAD = "graph: a tensor of 2^60 numbers without data"
"""A file whose excess no engine needs to read: it may work."""


@pytest.fixture(scope="module")
def sandbox(reference):
    with Sandbox(reference / "model_int8.onnx", MEMORY_MIB << 20) as opened:
        yield opened


@pytest.mark.parametrize(("name", "make"), REFUSED)
def test_a_crafted_file_is_refused_in_little_memory(sandbox, name, make):
    file = make()
    verdict = sandbox.open(file.content, file.suffix)
    assert verdict.fault is None, name
    assert verdict.peak_mebibytes <= MEMORY_MIB
    assert verdict.outcome in ERRORS


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), list(contained()))
def test_a_graph_that_asks_for_too_much_is_an_error(sandbox, name, make):
    file = make()
    verdict = sandbox.open(file.content, file.suffix)
    assert verdict.outcome == "death" or (verdict.fault is None and verdict.outcome in allowed(name)), verdict


def allowed(name):
    return ERRORS | {"classifies"} if name == UNREAD else ERRORS
