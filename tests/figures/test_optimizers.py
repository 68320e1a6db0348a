"""General optimizers that our rewrites are compared with: used if installed, otherwise named in a message."""

import importlib.util

import pytest

from docs.figures import optimizers
from docs.figures.cli import main

INSTALLED = all(importlib.util.find_spec(tool) for tool in optimizers.ASKED_FOR)


def test_what_is_not_installed_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(optimizers, "find_spec", lambda _name: None)
    assert main(["optimizers"]) == 2
    assert ".venv/bin/pip install onnxslim onnxscript" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="onnxslim and onnxscript are not installed")
def test_our_rewrites_leave_fewer_nodes_than_general_optimizers():
    nodes = optimizers.count_nodes()["nodes"]
    for network, (count, transposes) in nodes["translated, our rewrites"].items():
        for tool in optimizers.ASKED_FOR:
            left, left_transposes = nodes[f"translated, {tool}"][network]
            assert count < left
            assert transposes < left_transposes
