"""Photos of known labels that travel in a bundle."""

import json

import pytest
from PIL import Image

from bundle_archives import unpack
from pipeline.cli import main
from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.wheels import Target
from pipeline.errors import BundleBuildError, ClassesError
from runtime import Classifier
from runtime.acceptance import count_correct, labeled_photos
from runtime.bundle import verify_bundle

PI = Target("3.11", "aarch64")


@pytest.fixture
def known(reference, tmp_path):
    """A function that makes a folder of test photos, with a subfolder per class."""

    def write(count):
        index = json.loads((reference / "samples.json").read_text())
        with Image.open(reference / "test.webp") as sheet:
            for number, label in enumerate(index["test"]["labels"][:count]):
                path = tmp_path / "known" / index["class_names"][label] / f"photo {number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                row, column = divmod(number, 25)
                sheet.crop((32 * column, 32 * row, 32 * column + 32, 32 * row + 32)).save(path)
        return tmp_path / "known"

    return write


def test_photos_of_known_labels_travel_with_the_number_that_is_right_here(reference, known, tmp_path):
    arguments = ["bundle", str(reference), "--name", "known", "--no-wheels", "--out", str(tmp_path)]
    assert main([*arguments, "--acceptance", str(known(12))]) == 0
    folder = unpack(tmp_path / "edgecnn-known-0.1.0-aarch64-py311.tar.gz", tmp_path)
    verify_bundle(folder)
    assert len(list((folder / "acceptance").glob("*/*.png"))) == 12
    with Classifier(folder / "models/model_int8.onnx") as classifier:
        right = count_correct(classifier, labeled_photos(folder / "acceptance", classifier.spec.class_names)).correct
    card = json.loads((folder / "bundle.json").read_text())
    assert card["acceptance"] == {"photos": 12, "right": {"model_int8.onnx": right}}
    assert 6 < right <= 12


@pytest.mark.parametrize("fault", ["too many", "too large", "none", "damaged", "no class", "HEIC"])
def test_photos_that_no_bundle_takes_are_refused(reference, known, tmp_path, fault):
    folder = known({"too many": 201, "none": 0}.get(fault, 3))
    error, message = BundleBuildError, {"too many": "201 photos .*expected 1 to 200", "too large": "expected 1 to 200"}
    if fault == "too large":
        with next(folder.rglob("*.png")).open("ab") as file:
            file.truncate(20_000_001)
    elif fault == "none":
        (folder / "cat").mkdir(parents=True)
    elif fault == "damaged":
        next(folder.iterdir()).joinpath("damaged.jpg").write_bytes(b"\xff\xd8\xff")
    elif fault == "no class":
        (folder / "bear").mkdir()
        error = ClassesError
    elif fault == "HEIC":
        next(folder.iterdir()).joinpath("photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    settings = Settings("test", PI, wheels=False, acceptance=folder)
    with pytest.raises(
        error, match=message.get(fault, {"none": "0 photos", "no class": "bear"}.get(fault, fault.lower()))
    ):
        bundle(reference, tmp_path, settings)
