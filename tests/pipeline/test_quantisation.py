"""docs/quantisation.md shows what docs/quantisation.json holds."""

import copy

import pytest

from pipeline import artifacts, quantisation
from pipeline.errors import PipelineError

ROOT = artifacts.REFERENCE_DIR.parent.parent


@pytest.fixture
def figures():
    return artifacts.read_json(ROOT / quantisation.FIGURES)


def test_document_shows_the_kept_figures(figures):
    text = (ROOT / quantisation.DOCUMENT).read_text(encoding="utf-8")
    for name, section in quantisation.sections(figures).items():
        begin, end = quantisation.markers(name)
        assert f"{begin}\n{section}\n{end}" in text, name


def test_publishing_replaces_every_table(figures, tmp_path):
    document = tmp_path / "page.md"
    pieces = ["\n".join(quantisation.markers(name)) for name in quantisation.sections(figures)]
    document.write_text("\n\n".join(pieces), encoding="utf-8")
    other = copy.deepcopy(figures)
    other["bars"] = [{"ours": "a", "theirs": "b", "ratio": 0.9, "limit": 0.5, "met": False}]
    quantisation.publish(other, tmp_path / "page.json", document)
    assert "| a | b | 0.900 | 0.50 | **missed** |" in document.read_text(encoding="utf-8")
    assert artifacts.read_json(tmp_path / "page.json") == other


def test_what_was_not_run_is_asked_for(reference, tmp_path):
    (tmp_path / artifacts.MANIFEST).write_bytes((reference / artifacts.MANIFEST).read_bytes())
    with pytest.raises(PipelineError, match="run python -m pipeline verify"):
        quantisation.gather(tmp_path)
