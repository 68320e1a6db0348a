"""The boxes at the top of the report: accuracy, the verdict of verify, the verdict on int8."""

import re

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.documents.verify import ALSO_CHOSE, MAY_HAVE_LEARNED
from pipeline.report import page
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.verdicts import accuracies, verdicts


@pytest.fixture
def folder(tmp_path):
    return measured_folder.write(tmp_path / "build")


BOTH = f"{artifacts.INT8_ONNX} and {artifacts.INT8_TFLITE}"


@pytest.mark.parametrize(
    ("images", "word", "verified", "exported"),
    [
        (2, "Too few images to tell", "2 of 2 images (95 % interval 34% to 100%)", "2 of 2 images (95 % interval 34%"),
        (30, "Pass", "97% of 30 images (95 % interval 83% to 99%)", "99% of 30 images (95 % interval 89% to 100%)"),
        (300, "Pass", "96.7% of 300 images (95 % interval 94.0% to 98.2%)", "99.0% of 300 images (95 % interval 97.1%"),
    ],
)
def test_verdicts_stand_with_their_images_and_intervals(folder, images, word, verified, exported):
    measured_folder.rewrite(folder / artifacts.VERIFY, images=images, test_digest="d" * 64)
    measured_folder.rewrite(
        folder / artifacts.MANIFEST, validation={"images": images, "digest": "d" * 64, "keras_accuracy": 0.84}
    )
    verify, int8 = verdicts(gather(folder))[:2]
    assert verify.word == int8.word == word
    assert ("On fewer than 30 images no pass is given." in verify.text) == (images == 2)
    assert int8.name == f"int8, chosen by export on {images} images"
    assert verify.details == [f"All 3 files: the same answer as Keras on {verified}"]
    (line,) = int8.details
    assert line.startswith(f"{BOTH}: the same answer as Keras on {exported}")


def test_a_model_that_is_fed_wrongly_does_not_pass(folder):
    measured_folder.rewrite(folder / artifacts.VERIFY, passed=False, wrong_input="with --bgr more are right")
    verify = verdicts(gather(folder))[0]
    assert (verify.state, verify.word) == ("fail", "Fail")
    assert verify.text == "The model is fed wrongly: with --bgr more are right."


@pytest.mark.parametrize(
    ("images", "digest", "name", "word"),
    [
        (200, "e", "int8 on 200 test images", "Pass"),
        (200, "d", "int8, chosen by export on 12 images", "Too few images to tell"),
        (29, "e", "int8, chosen by export on 12 images", "Too few images to tell"),
    ],
)
def test_int8_is_judged_on_images_that_chose_nothing_if_they_are_enough(folder, images, digest, name, word):
    measured_folder.rewrite(folder / artifacts.VERIFY, images=images, test_digest=digest * 64)
    measured_folder.rewrite(
        folder / artifacts.MANIFEST, validation={"images": 12, "digest": "d" * 64, "keras_accuracy": 0.84}
    )
    int8 = verdicts(gather(folder))[1]
    assert (int8.name, int8.word) == (name, word)
    if word == "Pass":
        assert int8.text.endswith("Export had chosen it on 12 validation images, too few to tell.")
        assert int8.details == [
            f"{BOTH}: the same answer as Keras on 96.7% of 200 images (95 % interval 93.0% to 98.3%)"
        ]
        rows = measured_folder.verified()["artifacts"]
        rows[artifacts.INT8_ONNX]["violations"] = ["agreement 90.00% < 97%"]
        measured_folder.rewrite(folder / artifacts.VERIFY, artifacts=rows)
        assert verdicts(gather(folder))[1].word == "Fail"


@pytest.mark.parametrize(
    ("images", "word", "text"),
    [
        (
            12,
            "10 of 12",
            "on 12 test images; 95 % interval 55% to 95%. model_int8.onnx 10 of 12 and model_int8.tflite 10",
        ),
        (40, "83%", "on 40 test images; 95 % interval 68% to 91%. model_int8.onnx 80% and model_int8.tflite 80%."),
        (400, "83.3%", "on 400 test images; 95 % interval 79.3% to 86.6%. model_int8.onnx 80.0% and"),
    ],
)
def test_accuracy_has_no_more_digits_than_its_images_allow_and_its_caveats_below(folder, images, word, text):
    measured_folder.rewrite(
        folder / artifacts.VERIFY, images=images, caveats=["Only few images.", ALSO_CHOSE, MAY_HAVE_LEARNED]
    )
    (box,) = accuracies(gather(folder))
    assert (box.word, box.caveats) == (word, [MAY_HAVE_LEARNED, ALSO_CHOSE])
    assert text in box.text
    shown = page(gather(folder))
    assert shown.count(MAY_HAVE_LEARNED) == 1, "it stands below the accuracy, and not again in the verdict"
    assert f'<p class="word">{word}</p>\n<p class="caveats">{MAY_HAVE_LEARNED} {ALSO_CHOSE}</p>' in shown
    assert f"**Accuracy on test images: {word}.** {MAY_HAVE_LEARNED[:30]}" in markdown(gather(folder))


def test_no_share_of_few_images_has_decimals(folder):
    measured_folder.rewrite(folder / artifacts.VERIFY, images=12)
    measured_folder.rewrite(folder / artifacts.DRIFT, images=40)
    few = {"images": 40, "digest": "d" * 64, "keras_accuracy": 0.84}
    measured_folder.rewrite(folder / artifacts.MANIFEST, validation=few)
    text = page(gather(folder)).partition('id="provenance"')[0]
    assert re.findall(r".{30}\d\.\d+%", re.sub("<svg.*?</svg>", "", text, flags=re.DOTALL)) == []
