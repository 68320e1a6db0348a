"""docs/own-photos.md: its table is printed from its JSON, whose rows are read from finished folders."""

import pytest

import measured_folder
from docs.figures import many_photos, own_photos
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.errors import PipelineError

OUT_OF_FOLD = {"accuracy": 0.9, "images": 40, "low": 0.77, "high": 0.96, "folds": 10, "repeats": 1, "look_alike": 4}
HISTORY = {
    "settings": {"model": "efficientnet-lite0", "side": 224, "views": 4},
    "class_names": ["ant", "bee", "wasp"],
    "images": {"training": 40, "validation": 30},
    "validation_accuracy": 0.8,
    "data": "somewhere/insects",
    "out_of_fold": OUT_OF_FOLD,
}


def test_the_table_is_the_files(repository):
    rows = artifacts.read_json(repository / own_photos.FIGURES)
    text = (repository / own_photos.DOCUMENT).read_text(encoding="utf-8")
    assert marked("photos", own_photos.photos_table(rows)) in text


def test_the_table_of_many_photos_is_the_files(repository):
    rows = artifacts.read_json(repository / many_photos.FIGURES)
    text = (repository / many_photos.DOCUMENT).read_text(encoding="utf-8")
    assert marked("many photos", many_photos.many_photos_table(rows)) in text


def test_a_row_says_how_many_photos_each_figure_rests_on(tmp_path):
    folder = measured_folder.write(tmp_path)
    artifacts.write_json(folder / artifacts.HISTORY, HISTORY)
    row = own_photos.row_of(folder)
    (line,) = own_photos.photos_table([row]).splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["insects", "3", "efficientnet-lite0", "224", "4"]
    assert cells[5].startswith("90.0% of 40 (")
    assert cells[6].startswith("80.0% of 30 (")
    assert [f"{share:.1%} of 30" for share in row["int8"].values()] == [cell.partition(" (")[0] for cell in cells[7:]]


def test_a_row_is_renewed_and_keeps_what_was_not_measured_again():
    kept = [{"photos": "b", "int8": 1, "few": 2}, {"photos": "c", "int8": 3}]
    new = [{"photos": "b", "int8": 4}, {"photos": "a", "int8": 5}]
    assert own_photos.renewed(new, kept) == [new[1], {"photos": "b", "int8": 4, "few": 2}, kept[1]]


def test_draws_of_few_photos_are_averaged(tmp_path):
    artifacts.write_json(tmp_path / artifacts.HISTORY, HISTORY)
    few = {"a_class": 20, "accuracy": [0.9, 0.95, 0.94], "images": 30}
    text = own_photos.photos_table([own_photos.row_of(tmp_path) | {"few": few}])
    assert "With 20 photos a class of *insects*, drawn 3 times" in text
    assert "30 are answered 93.0% right on average (90.0% to 95.0%)" in text


def test_what_opened_stages_brought_is_a_sentence(tmp_path):
    opened = {"behind": "x", "epochs": 8, "images": 40, "frozen": 0.9, "opened": 0.85, "p_value": 1.0, "kept": False}
    artifacts.write_json(tmp_path / artifacts.HISTORY, HISTORY | {"opened": opened})
    text = own_photos.photos_table([own_photos.row_of(tmp_path) | own_photos.opened_of(tmp_path)])
    assert "(4 views, 8 epochs), 85.0% of 40 photos are right out of fold" in text
    assert "alone 90.0% (p = 1): not kept" in text
    artifacts.write_json(tmp_path / artifacts.HISTORY, HISTORY)
    with pytest.raises(PipelineError, match="no last stages were opened"):
        own_photos.opened_of(tmp_path)


def test_a_student_stands_beside_its_teacher(tmp_path):
    small = {"model": "vgg8", "side": 64, "accuracy": 0.7, "images": 30}
    small |= {"multiply_accumulates": 1e8, "int8_bytes": 1e6, "fp32_latency_ms": 2.0}
    large = {"model": "efficientnet-lite0", "side": 224, "accuracy": 0.8, "images": 30}
    large |= {"multiply_accumulates": 4e8, "int8_bytes": 5e6, "fp32_latency_ms": 5.0}
    epoch = {"seconds": 90, "accuracy": 0.5, "loss": 1.0, "val_accuracy": 0.7, "val_loss": 1.0, "learning_rate": 0.1}
    epochs = [{"epoch": number, **epoch} for number in (1, 2)]
    folder = tmp_path / "student"
    artifacts.write_json(folder / artifacts.HISTORY, HISTORY | {"contenders": [small, large], "epochs": epochs})
    artifacts.write_json(tmp_path / artifacts.HISTORY, HISTORY)
    text = own_photos.photos_table([own_photos.row_of(tmp_path) | own_photos.student_of(folder)])
    assert "on *insects* (2 epochs, 3 minutes of training): 70.0% of 30 (" in text
    assert "by its teacher 80.0% of 30 (" in text
    assert ": 10.0 points less, for 5.0 times fewer bytes in int8, 4.0 times less arithmetic and 2.5 times less" in text
    better = HISTORY | {"contenders": [small | {"accuracy": 0.85}, large], "epochs": epochs}
    artifacts.write_json(folder / artifacts.HISTORY, better)
    text = own_photos.photos_table([own_photos.row_of(tmp_path) | own_photos.student_of(folder)])
    assert ": 5.0 points more, for 5.0 times fewer" in text
    with pytest.raises(PipelineError, match="no student and teacher"):
        own_photos.student_of(tmp_path)


def test_a_training_from_nothing_is_no_row(tmp_path):
    artifacts.write_json(tmp_path / artifacts.HISTORY, {**HISTORY, "out_of_fold": None})
    with pytest.raises(PipelineError, match="without out-of-fold accuracy"):
        own_photos.row_of(tmp_path)
