"""Some of the classifiers of docs/kinds.md are trained, and exported with the plain command."""

import json

import pytest

from docs.figures.kinds.examine import LEAST, examine
from docs.figures.kinds.models import KINDS
from docs.figures.kinds.table import DOCUMENT, FIGURES, markdown
from pipeline import formats

NAMES = ("one sigmoid", "gray, scales itself", "48 x 32 pixels", "small ViT")
RUN = [kind for kind in KINDS if kind.name in NAMES]
MOST_LOST, LEAST_AGREEMENT = 0.02, 0.97


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kinds")


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUN, ids=lambda kind: kind.name)
def test_every_file_names_what_keras_names(kind, folder):
    entry = examine(kind, folder)
    assert entry["keras"] >= LEAST
    assert entry["refused"] is None
    assert set(entry["files"]) == set(formats.MODEL_FILES)
    for name, scores in entry["files"].items():
        assert scores["accuracy"] >= entry["keras"] - MOST_LOST, name
        assert scores["agreement"] >= LEAST_AGREEMENT, name


def test_the_page_shows_what_was_measured(repository):
    figures = json.loads((repository / FIGURES).read_text())
    assert {entry["kind"] for entry in figures["kinds"]} <= {kind.name for kind in KINDS}
    assert markdown(figures) in (repository / DOCUMENT).read_text()
