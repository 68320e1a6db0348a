"""General optimizers that our rewrites are compared with."""

from types import SimpleNamespace

import pytest

from docs.figures import optimizers, quantization
from docs.figures.cli import main
from docs.figures.graph import NOTES
from pipeline import artifacts

ROOT = artifacts.REFERENCE_DIR.parent.parent


def test_what_is_not_installed_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(optimizers, "find_spec", lambda _name: None)
    assert main(["optimizers"]) == 2
    assert ".venv/bin/pip install onnxslim onnxscript" in capsys.readouterr().err


@pytest.fixture
def kept():
    return artifacts.read_json(ROOT / quantization.FIGURES)["optimizers"]["nodes"]


def test_our_rewrites_leave_fewer_nodes_than_general_optimizers(kept):
    for network, (count, transposes) in kept["translated, our rewrites"].items():
        for tool in optimizers.ASKED_FOR:
            left, left_transposes = kept[f"translated, {tool}"][network]
            assert count < left
            assert transposes < left_transposes


@pytest.mark.slow
def test_the_kept_counts_are_those_of_the_graphs_of_today(kept, monkeypatch):
    same = SimpleNamespace(slim=lambda graph: graph, optimize=lambda graph: graph)
    monkeypatch.setattr(optimizers, "find_spec", lambda _name: same)
    monkeypatch.setattr(optimizers, "import_module", lambda _name: same)
    monkeypatch.setattr(optimizers, "version", lambda _name: "1.0")
    monkeypatch.setattr(optimizers, "other_networks", lambda _class_names: [])
    nodes = optimizers.count_nodes()["nodes"]
    assert set(nodes) == set(kept)
    ours = {way: counts[NOTES] for way, counts in nodes.items() if not way.endswith(optimizers.ASKED_FOR)}
    assert len(ours) == 3
    assert ours == {way: kept[way][NOTES] for way in ours}
