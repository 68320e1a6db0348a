"""Which folders are classes."""

import numpy as np
import pytest

from painted_photos import paint
from pipeline.data.folder import class_weights, load
from pipeline.data.photo_settings import Settings
from pipeline.data.scan import scan
from pipeline.errors import ClassesError, DataError, UnusablePhotosError

SKIP = Settings(skip_bad=True)


def test_one_picture_in_two_classes_is_refused(photos):
    paint(photos / "dog" / "really.png", 4)
    with pytest.raises(UnusablePhotosError, match=r"the same picture as dog/really\.png, of another class"):
        load(photos)
    loaded = load(photos, SKIP)
    assert {left.path for left in loaded.skipped} == {"cat/4.png", "dog/really.png"}
    assert len(loaded.training) + len(loaded.validation) == 29


def test_too_few_classes_or_pictures_are_refused(photos, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClassesError, match="found no folder"):
        load(tmp_path / "empty")
    for number in range(2):
        paint(tmp_path / "empty" / f"{number}.png", number)
    with pytest.raises(ClassesError, match=r"found no folder; 2 photos in it have no label: make a folder for each"):
        load(tmp_path / "empty")
    with pytest.raises(ClassesError, match=r"2 photos in it have no label: give them to export with --calibration"):
        load(tmp_path / "empty", known=("cat", "dog"))
    paint(tmp_path / "one" / "cat" / "0.png", 0)
    with pytest.raises(ClassesError, match="the one class 'cat'"):
        load(tmp_path / "one")
    (photos / "bird").mkdir()
    for number in range(6):
        paint(photos / "bird" / f"{number}.png", 7_000)
    with pytest.raises(ClassesError, match="at least 5 different pictures; bird has 1"):
        load(photos)


def data_set(root, *names):
    for number, name in enumerate(names):
        for photo in range(5):
            paint(root / name / f"{photo}.png", 10 * number + photo)


def test_a_folder_one_level_too_high_or_too_low_is_answered_with_the_right_one(tmp_path):
    data_set(tmp_path / "archive" / "flowers", "rose", "tulip")
    (tmp_path / "archive" / "__MACOSX").mkdir()
    flowers = tmp_path / "archive" / "flowers"
    for wrong in (tmp_path / "archive", tmp_path, flowers / "rose"):
        with pytest.raises(ClassesError, match=f"; did you mean {flowers}\\?$"):
            load(wrong)
    assert load(flowers).hint == ""


@pytest.mark.parametrize(("name", "suggested"), [("rose", True), ("photos", False)])
def test_the_folder_above_is_suggested_only_for_a_class_of_the_model(tmp_path, name, suggested):
    data_set(tmp_path, name, "tulip")
    with pytest.raises(ClassesError, match="need a folder of photos for each class") as refused:
        scan(tmp_path / name, known=("rose", "tulip"))
    assert (f"did you mean {tmp_path}?" in str(refused.value)) == suggested


def test_data_sets_side_by_side_are_no_classes(tmp_path):
    data_set(tmp_path / "ants", "train/ant", "train/bee", "val/ant", "val/bee")
    data_set(tmp_path / "flowers", "rose", "tulip")
    with pytest.raises(
        ClassesError,
        match=f"divided into train and val, .*; did you mean {tmp_path / 'ants'} or {tmp_path / 'flowers'}\\?$",
    ):
        load(tmp_path)


def test_classes_that_hold_folders_alone_are_taken_with_a_question(tmp_path):
    data_set(tmp_path / "indoors", "cat", "dog")
    data_set(tmp_path / "outdoors", "cow", "dog")
    assert scan(tmp_path).hint.endswith(f"did you mean {tmp_path / 'indoors'}?")
    paint(tmp_path / "outdoors" / "0.png", 0)
    assert scan(tmp_path).hint == ""


def test_names_that_collide_are_refused(photos):
    (photos / "Cat").mkdir()
    with pytest.raises(ClassesError, match="differ in case alone"):
        load(photos)


@pytest.mark.parametrize("name", ["caf\ne", " cat", "\x1b[2Jcat", "tac\u202e", "cat\u200f"])
def test_names_that_no_label_file_can_carry_are_refused(photos, name):
    (photos / name).mkdir()
    with pytest.raises(ClassesError, match="cannot name a class"):
        load(photos)


def test_equal_names_in_different_bytes_are_refused(photos):
    (photos / "caf\u00e9").mkdir()
    (photos / "cafe\u0301").mkdir()
    with pytest.raises(ClassesError, match="in different bytes"):
        load(photos)


def test_class_weights_let_every_class_count_the_same():
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 2)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    assert np.mean([weights[label] for label in labels]) == pytest.approx(1)


@pytest.mark.parametrize("divided", [False, True])
def test_photos_of_anything_else_are_one_more_class(photos, tmp_path, divided):
    rest = tmp_path / "albums"
    for number in range(20):
        paint(rest / "2024" / f"{number}.png", 500 + number)
    if divided:
        for name in ("cat", "dog"):
            for number in range(6):
                paint(photos / "val" / name / f"v{number}.png", 800 + number + 50 * (name == "dog"))
            (photos / "train").mkdir(exist_ok=True)
            (photos / name).rename(photos / "train" / name)
    loaded = load(photos, Settings(side=16, none=str(rest)))
    assert loaded.training.class_names == ("cat", "dog", "none")
    assert np.bincount(loaded.training.labels)[2] == 18
    assert np.bincount(loaded.validation.labels)[2] == 2
    assert sum(path.startswith(str(rest)) for path in loaded.training.paths) == 18
    again = load(photos, Settings(side=16, none=str(rest)))
    assert (again.training.digest, again.validation.digest) == (loaded.training.digest, loaded.validation.digest)


def test_one_class_and_anything_else_are_two(photos, tmp_path):
    (photos / "dog").rename(tmp_path / "rest")
    assert load(photos, Settings(side=16, none=str(tmp_path / "rest"))).training.class_names == ("cat", "none")
    with pytest.raises(DataError, match="missing: no such folder; expected photos of anything"):
        load(photos, Settings(side=16, none=str(tmp_path / "missing")))


def test_a_folder_with_only_a_test_part_judges_a_model_and_chooses_nothing(tmp_path):
    for name, first in (("cat", 0), ("dog", 100)):
        for number in range(3):
            paint(tmp_path / "test" / name / f"{number}.png", first + number)
    photos = load(tmp_path, Settings(test_share=0.5), known=("dog", "cat"))
    assert photos.test.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert photos.is_test_only
    with pytest.raises(ClassesError, match="has only test/, which judges a model"):
        photos.require_training_photos()
    with pytest.raises(ClassesError, match="the one class 'test'"):
        load(tmp_path)
    paint(tmp_path / "train" / "cat" / "9.png", 300)
    paint(tmp_path / "train" / "dog" / "9.png", 400)
    divided = load(tmp_path, known=("dog", "cat"))
    assert not divided.is_test_only
    divided.require_training_photos()
