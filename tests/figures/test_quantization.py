"""docs/quantization.md shows the figures of docs/quantization.json."""

import copy

import pytest

from docs.figures import quantization
from docs.figures.bars import Bar
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.documents.manifest import Manifest
from pipeline.errors import PipelineError

ROOT = artifacts.REFERENCE_DIR.parent.parent


@pytest.fixture
def figures():
    return artifacts.read_json(ROOT / quantization.FIGURES)


def test_document_shows_the_kept_figures(figures):
    text = (ROOT / quantization.DOCUMENT).read_text(encoding="utf-8")
    for name, section in quantization.sections(figures).items():
        assert marked(name, section) in text, name


def test_publishing_replaces_every_table(figures, tmp_path):
    document = tmp_path / "page.md"
    pieces = [marked(name, "") for name in quantization.sections(figures)]
    document.write_text("\n\n".join(pieces), encoding="utf-8")
    other = copy.deepcopy(figures)
    other["bars"] = [Bar("a", 0.9, 0.5, against="b").to_json()]
    quantization.publish(other, tmp_path / "page.json", document)
    assert "| a | b | 0.900 | 0.50 | **missed** |" in document.read_text(encoding="utf-8")
    assert artifacts.read_json(tmp_path / "page.json") == other


def test_what_was_not_run_is_asked_for(reference, tmp_path):
    (tmp_path / artifacts.MANIFEST).write_bytes((reference / artifacts.MANIFEST).read_bytes())
    with pytest.raises(PipelineError, match="run python -m pipeline verify"):
        quantization.gather(tmp_path)


def test_the_search_is_that_of_the_shipped_reference(figures, reference):
    manifest = Manifest.read(reference)
    assert figures["validation_images"] == manifest.validation.images
    assert figures["criteria"] == manifest.criteria.model_dump()
    assert set(figures["search"]) == set(manifest.decisions)
    for name, decision in manifest.decisions.items():
        searched = figures["search"][name]
        assert (searched["winner"], searched["tried"]) == (decision.summary, len(decision.candidates))
        known = {(one.stage, one.summary) for one in decision.candidates}  # accuracies depend on the processor
        assert {(one["stage"], one["summary"]) for one in searched["candidates"]} <= known
