"""Photos of known labels: ``verify --photos``."""

import json

import pytest
from PIL import Image

from runtime import Classifier
from runtime.acceptance import folder_name, labeled_photos
from runtime.cli import main
from runtime.errors import ImageError, ImageFileNotFoundError


@pytest.fixture
def labeled(images, reference, tmp_path):
    """A folder of eight photos in class folders, and how many of them the reference classifies correctly."""
    with Classifier(reference / "model_int8.onnx") as classifier:
        right = 0
        for number, (pixels, name) in enumerate(zip(images[0][:8], images[1][:8], strict=True)):
            path = tmp_path / "known" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            right += classifier.classify(path).label == name
    return tmp_path / "known", right


def test_verify_counts_photos_of_known_labels(labeled, reference, capsys):
    folder, right = labeled
    model = str(reference / "model_int8.onnx")
    assert right > 3
    for least, status, word in ((right, 0, "PASS"), (right + 1, 1, "FAIL")):
        assert main(["verify", model, "--photos", str(folder), "--at-least", str(least)]) == status
        line = f"{word} {model}: {right} of 8 photos classified correctly, expected at least {least}"
        assert capsys.readouterr().out.splitlines()[1] == line
    next(folder.iterdir()).joinpath("broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["verify", model, "--photos", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["photos"], found["right"], found["passed"]) == (9, right, True)
    assert len(found["unreadable"]) == 1
    assert "broken.jpg" in found["unreadable"][0]


def test_a_folder_of_no_class_and_a_folder_without_photos_are_said(labeled, reference, capsys):
    folder, _ = labeled
    names = ("airplane", "cat")
    for place in folder.iterdir():
        place.rename(folder / "cat")
        break
    with pytest.raises(
        ImageError, match=r"no class of the model; expected folders named after its classes: airplane, cat$"
    ):
        labeled_photos(folder, names)
    with pytest.raises(ImageFileNotFoundError, match="no photos"):
        labeled_photos(folder / "cat", names)
    with pytest.raises(ImageFileNotFoundError, match="No such file"):
        labeled_photos(folder / "nowhere", names)
    assert main(["verify", str(reference / "model_int8.onnx"), "--at-least", "3"]) == 2
    assert "--photos DIR" in capsys.readouterr().err


def test_folders_that_differ_from_the_classes_only_in_case_are_told_so(tmp_path):
    for place in ("Cat", "dog"):
        (tmp_path / place).mkdir()
    with pytest.raises(ImageError, match=r"Cat differs only in case from classes of the model: rename the folders$"):
        labeled_photos(tmp_path, ("cat", "dog"))


def test_a_class_goes_by_its_plain_name_too(tmp_path):
    for place in ("ice cream", "ice+20cream"):
        (tmp_path / place).mkdir()
        Image.new("RGB", (2, 2)).save(tmp_path / place / "a.png")
    found = labeled_photos(tmp_path, ("cat", "ice cream"))
    assert [photo.class_name for photo in found] == ["ice cream"] * 2


@pytest.mark.parametrize(
    ("name", "plain"), [("cat", "cat"), ("ice cream+", "ice+20cream+2b"), ("..", "+2e+2e"), ("é", "+c3+a9")]
)
def test_every_class_name_has_a_plain_one(name, plain):
    assert folder_name(name) == plain
