import pytest

from docs.figures import experiments
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.errors import PipelineError

DOCUMENT = artifacts.REFERENCE_DIR.parent.parent / experiments.DOCUMENT


def test_document_shows_the_kept_experiments():
    rows = experiments.read(artifacts.REFERENCE_DIR.parent.parent / experiments.EXPERIMENTS)
    assert rows
    text = DOCUMENT.read_text(encoding="utf-8")
    assert experiments.markdown_table(rows) in text
    assert experiments.networks_table(rows) in text
    assert experiments.shipped_table() in text


def test_row_says_what_differs_from_the_defaults(reference, tmp_path):
    row = experiments.row_of(reference, "shipped")
    assert row["validation_accuracy"] == History.read(reference).validation_accuracy
    other = {**row, "settings": {**row["settings"], "cutmix": 0.5}, "validation_accuracy": 0.5}
    document = tmp_path / "training.md"
    document.write_text(
        "\n\n".join(marked(name, "old") for name in ("networks", "shipped", "experiments")), encoding="utf-8"
    )
    experiments.publish([other, row], tmp_path / "experiments.json", document)
    text = document.read_text(encoding="utf-8")
    assert experiments.read(tmp_path / "experiments.json") == [other, row]
    assert "cutmix 0.5" in text
    assert "old" not in text
    assert text.index("shipped") < text.index("cutmix 0.5")  # the better one comes first


def test_a_network_without_an_experiment_claims_no_accuracy(reference):
    table = experiments.networks_table([{**experiments.row_of(reference, "shipped"), "validation_accuracy": 0.5}])
    lines = {line.split("`")[1]: line for line in table.splitlines() if "`" in line}
    assert "| 50.00% of 5,000 |" in lines["notes"]
    assert "| none |" in lines["vgg8"]


def test_folder_without_history_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="not there; restore the file"):
        experiments.row_of(tmp_path, "")
