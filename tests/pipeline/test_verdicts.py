"""The notes of verify beside its verdicts, and the number of images that a verdict needs."""

import json

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.data import cifar10
from pipeline.documents.manifest import InputContract, Manifest
from pipeline.documents.verify import Scores, Unusable, Verification
from pipeline.errors import PipelineError
from pipeline.metrics.significance import share_interval
from pipeline.verify.parity import caveats, format_report
from pipeline.verify.parity import test_images as cifar10_test_images
from pipeline.verify.parity.caveats import ALSO_CHOSE, ALSO_DECIDED, of_choice, of_known_images


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
            "Only 9 images: 0 of them changed class, so up to 30% of all images may (95 % interval)",
        ),
        (50, 0.98, "Only 50 images: 1 of them changed class, so up to 10% of all images may"),
        (200, 1.0, None),
    ],
)
def test_a_verdict_on_few_images_says_what_it_leaves_open(images, agreement, said):
    row = next(iter(Verification.model_validate_json(json.dumps(measured_folder.verified())).measured.values()))
    rows = [row.model_copy(update={"agreement": share}) for share in (agreement, 1.0)]
    text = "\n".join(caveats(images, 3, scored(1.0), rows))
    assert said in text if said else "Only " not in text
    assert not caveats(images, 3, scored(1.0), [Unusable(violations=("no model",))])


@pytest.mark.parametrize("flipped", [0, 1, 3])
def test_the_caveat_and_the_interval_of_agreement_have_one_bound(flipped):
    row = next(iter(Verification.model_validate_json(json.dumps(measured_folder.verified())).measured.values()))
    (said,) = caveats(12, 3, scored(1.0), [row.model_copy(update={"agreement": 1 - flipped / 12})])
    assert f"up to {1 - share_interval(1 - flipped / 12, 12).low:.0%} of all images may" in said


@pytest.mark.parametrize(
    ("stages", "how", "said"),
    [
        (["default"], "checked", ()),
        (["training"], "checked", ()),
        (["default", "bias correction"], "checked", (ALSO_DECIDED,)),
        (["default", "back to float: dense"], "chosen", (ALSO_CHOSE,)),
        (["calibration", "bias correction", "structure"], "chosen", (ALSO_CHOSE,)),
    ],
)
def test_int8_was_chosen_only_by_a_search(stages, how, said):
    document = measured_folder.manifest()
    for decision in document["decisions"].values():
        decision["candidates"] = [decision["candidates"][0] | {"stage": stage} for stage in stages]
    manifest = Manifest.model_validate_json(json.dumps(document))
    assert of_choice(manifest) == said
    assert manifest.as_table().notes[0].startswith(f"int8 was {how} on 5,000 images")


@pytest.mark.parametrize(("checked", "said"), [("", "RGB"), ("checked on 120 labeled images: x", "RGB; at export ch")])
def test_verify_says_that_export_checked_the_input(checked, said):
    assert InputContract(preprocessing="RGB", checked=checked).stated_by_export.startswith(said)


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
    assert "give --data another folder" in "".join(given) or not said


def test_other_classes_are_refused_before_test_images_are_looked_for(monkeypatch, capsys):
    monkeypatch.setattr(cifar10, "is_cached", lambda: False)
    with pytest.raises(PipelineError, match="no test images for the classes ant, bee: give photos"):
        cifar10_test_images(("ant", "bee"))
    assert not capsys.readouterr().err


def test_a_file_whose_answers_are_no_numbers_fails_and_is_written(tmp_path):
    row = next(iter(Verification.model_validate_json(json.dumps(measured_folder.verified())).measured.values()))
    changes = {"max_difference": None, "mean_difference": None, "violations": ("max difference nan",)}
    nan = row.model_copy(update=changes)
    document = Verification.model_validate_json(json.dumps(measured_folder.verified()))
    document = document.model_copy(update={"artifacts": {artifacts.INT8_ONNX: nan}})
    document.write(tmp_path)
    assert Verification.read(tmp_path) == document
    assert "FAIL: max difference nan" in format_report(document)
