import pytest

from pipeline import artifacts, tries
from pipeline.errors import PipelineError

DOCUMENT = artifacts.REFERENCE_DIR.parent.parent / tries.DOCUMENT


def test_document_shows_the_kept_tries():
    rows = tries.read(artifacts.REFERENCE_DIR.parent.parent / tries.TRIES)
    assert rows
    text = DOCUMENT.read_text(encoding="utf-8")
    assert tries.markdown_table(rows) in text
    assert tries.networks_table(rows) in text
    assert tries.shipped_table() in text


def test_row_says_what_differs_from_the_defaults(reference, tmp_path):
    row = tries.row_of(reference, "shipped")
    assert row["validation_accuracy"] == artifacts.read_json(reference / artifacts.HISTORY)["validation_accuracy"]
    other = {**row, "settings": {**row["settings"], "cutmix": 0.5}, "validation_accuracy": 0.5}
    document = tmp_path / "training.md"
    document.write_text(
        f"{tries.NETWORKS_BEGIN}{tries.NETWORKS_END}\n{tries.SHIPPED_BEGIN}{tries.SHIPPED_END}\n"
        f"{tries.BEGIN}\nold\n{tries.END}\n",
        encoding="utf-8",
    )
    tries.publish([other, row], tmp_path / "tries.json", document)
    text = document.read_text(encoding="utf-8")
    assert tries.read(tmp_path / "tries.json") == [other, row]
    assert "cutmix 0.5" in text
    assert "old" not in text
    assert text.index("shipped") < text.index("cutmix 0.5")  # the better one comes first


def test_a_network_without_a_try_claims_no_accuracy(reference):
    table = tries.networks_table([{**tries.row_of(reference, "shipped"), "validation_accuracy": 0.5}])
    lines = {line.split("`")[1]: line for line in table.splitlines() if "`" in line}
    assert "| 50.00% |" in lines["notes"]
    assert "| none |" in lines["vgg8"]


def test_folder_without_history_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="give a folder that train wrote"):
        tries.row_of(tmp_path, "")
