"""``compare``: two model files on the same photos."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.errors import ClassesError, DataError
from pipeline.verify.compare import compare, compare_correct
from runtime import Classifier

LABELS = np.array(["a", "b"] * 50)


def rights(*wrong):
    right = np.ones(100, bool)
    right[list(wrong)] = False
    return right


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (range(6), [], "ship"),
        ([], range(6), "keep"),
        (range(5), [], "undecided"),  # p = 0.0625
        ([], [], "undecided"),
        (range(10), range(10, 20), "undecided"),
        (range(30), range(29, 40), "ship"),
    ],
)
def test_the_verdict_is_that_of_mcnemar(old, new, verdict):
    found = compare_correct(rights(*old), rights(*new), LABELS)
    assert found.verdict == verdict
    assert (found.only_new, found.only_old) == (len(set(old) - set(new)), len(set(new) - set(old)))
    assert (found.old.correct, found.new.correct) == (100 - len(old), 100 - len(new))


def test_each_class_is_counted():
    found = compare_correct(rights(0, 2, 4), rights(1), LABELS)
    assert [(judged.correct, judged.photos) for judged in found.classes["a"]] == [(47, 50), (50, 50)]
    assert [(judged.correct, judged.photos) for judged in found.classes["b"]] == [(50, 50), (49, 50)]


@pytest.fixture
def photos(reference, tmp_path):
    """Twenty photos, in folders of the classes that the reference predicts, and a file that is no photo."""
    with Image.open(reference / "test.webp") as sheet:
        row = np.asarray(sheet)[:32]
    pixels = np.ascontiguousarray(row.reshape(32, -1, 32, 3).swapaxes(0, 1))[:20]
    classifier = Classifier(reference / "model_int8.onnx")
    for number, answer in enumerate(classifier.classify_many(pixels, top=2)):
        folder = tmp_path / "photos" / answer.label
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "photos"


def test_files_are_compared_on_photos(reference, photos, capsys):
    files = [str(reference / "model_int8.onnx"), str(reference / "model_int8.onnx")]
    assert main(["compare", *files, "--photos", str(photos)]) == 1
    said = capsys.readouterr().out
    assert "old: 100.0% of 20 photos" in said
    assert "not read: 1 (" in said
    assert said.splitlines()[-1].startswith("UNDECIDED")
    assert main(["compare", *files, "--photos", str(photos), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["new"] == {"right": 20, "photos": 20}


def test_copies_of_a_photo_count_once(reference, photos, capsys):
    model = str(reference / "model_int8.onnx")
    first, second, *_ = sorted(photos.glob("*/*.png"))
    for number in range(3):
        shutil.copy(first, first.with_name(f"zz-{number}.png"))
    with Image.open(first) as image:
        image.save(first.with_name("zz-other-bytes.webp"), lossless=True)
    other = next(folder for folder in photos.iterdir() if folder != second.parent)
    shutil.copy(second, other / "disputed.png")
    assert main(["compare", model, model, "--photos", str(photos)]) == 1
    said = capsys.readouterr().out
    assert "of 19 photos" in said
    assert f"copies, not counted: 4 ({first.parent.name}/zz-0.png" in said
    assert "in several classes, not counted: 2 (" in said


def test_of_a_divided_folder_only_the_test_photos_count(reference, photos, tmp_path):
    (tmp_path / "divided" / "train" / "ship").mkdir(parents=True)
    photos.rename(tmp_path / "divided" / "test")
    model = reference / "model_int8.onnx"
    assert compare(model, model, tmp_path / "divided").old.photos == 20
    (tmp_path / "divided" / "test").rename(tmp_path / "divided" / "val")
    with pytest.raises(DataError, match="no test/ folder"):
        compare(model, model, tmp_path / "divided")


def test_a_class_that_a_model_does_not_know_is_said(reference, photos):
    (photos / "zebra").mkdir()
    next(photos.glob("*/*.png")).rename(photos / "zebra" / "one.png")
    with pytest.raises(ClassesError, match="does not know zebra"):
        compare(reference / "model_int8.onnx", reference / "model_int8.onnx", photos)


def test_no_photo_that_can_be_read_is_said(reference, photos):
    for photo in photos.glob("*/*.png"):
        photo.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="none of 21 photos can be read"):
        compare(reference / "model_int8.onnx", reference / "model_int8.onnx", photos)
