"""The notes of verify beside its verdicts, and the number of images that a verdict needs."""

import json

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.documents.verify import Scores, Unusable, Verification
from pipeline.verify.parity import caveats, format_report
from pipeline.verify.parity.caveats import of_known_images


def scored(accuracy):
    return Scores(accuracy=accuracy, confusion=(), calibration=None)


@pytest.mark.parametrize(("accuracy", "doubted"), [(0.35, True), (0.6, False)])
def test_an_accuracy_of_chance_is_doubted(accuracy, doubted):
    said = caveats(60, 3, scored(accuracy), [])
    assert any("no better than guessing" in caveat for caveat in said) == doubted


@pytest.mark.parametrize(
    ("images", "agreement", "said"),
    [
        (
            9,
            1.0,
            "Only 9 images: 0 of them changed class, so up to 28% of all images may (95% confidence)",
        ),
        (50, 0.98, "Only 50 images: 1 of them changed class, so up to 9% of all images may"),
        (200, 1.0, None),
    ],
)
def test_a_verdict_on_few_images_says_what_it_leaves_open(images, agreement, said):
    row = next(iter(Verification.model_validate_json(json.dumps(measured_folder.verified())).measured.values()))
    rows = [row.model_copy(update={"agreement": share}) for share in (agreement, 1.0)]
    text = "\n".join(caveats(images, 3, scored(1.0), rows))
    assert said in text if said else "Only " not in text
    assert not caveats(images, 3, scored(1.0), [Unusable(violations=("no model",))])


@pytest.mark.parametrize(
    ("images", "word"), [(2, "too few images to tell"), (29, "too few images to tell"), (30, "PASS")]
)
def test_a_handful_of_images_passes_nothing(images, word):
    report = Verification.model_validate_json(json.dumps(measured_folder.verified() | {"images": images}))
    assert all(line.endswith(f"  {word}") for line in format_report(report).splitlines()[2:])
    assert report.as_table().heading.endswith("passed" if word == "PASS" else word)
    assert {row[-1] for row in report.as_table().rows[1:]} == {word.lower()}


@pytest.mark.parametrize(("images", "advised"), [(4, False), (29, False), (40, True)])
def test_a_handful_of_images_gives_no_advice_on_the_feeding(images, advised):
    said = " ".join(caveats(images, 2, scored(0.25), []))
    assert ("class names in the wrong order" in said) == advised


@pytest.mark.parametrize(
    ("part", "trained_here", "accuracy", "said"),
    [
        ("validation", False, 0.9, True),
        ("validation", True, 0.9, False),
        ("test", False, 0.9, False),
        ("validation", False, None, False),
    ],
)
def test_photos_that_a_model_of_others_may_have_seen_are_said_so_once(part, trained_here, accuracy, said):
    given = of_known_images(scored(accuracy), trained_here=trained_here, part=part, chosen_on=True)
    assert len(given) == said
    assert "into test/ of --data" in "".join(given) or not said


def test_a_file_whose_answers_are_no_numbers_fails_and_is_written(tmp_path):
    row = next(iter(Verification.model_validate_json(json.dumps(measured_folder.verified())).measured.values()))
    changes = {"max_difference": None, "mean_difference": None, "violations": ("max difference nan",)}
    nan = row.model_copy(update=changes)
    document = Verification.model_validate_json(json.dumps(measured_folder.verified()))
    document = document.model_copy(update={"artifacts": {artifacts.INT8_ONNX: nan}})
    document.write(tmp_path)
    assert Verification.read(tmp_path) == document
    assert "FAIL: max difference nan" in format_report(document)
