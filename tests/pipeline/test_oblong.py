"""Images that are not square go all the way: train, export, verify, evaluate."""

import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts, formats
from pipeline.cli import main
from pipeline.commands import OK, UNUSABLE
from pipeline.documents.evaluation import Evaluation
from pipeline.documents.history import History
from pipeline.documents.manifest import Manifest
from runtime import Classifier

COLORS = {"red": (200, 40, 30), "blue": (30, 40, 200)}


def painted(folder, count=40):
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.array(color) + random.integers(-25, 25, (20, 30, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def call(*command):
    return main([str(part) for part in command])


@pytest.mark.slow
def test_a_network_of_wide_images_is_trained_exported_and_judged(tmp_path):
    photos, out = painted(tmp_path / "photos"), tmp_path / "out"
    shape = ["--height", 8, "--width", 16, "--model", "resnet8", "--epochs", 6, "--batch-size", 16]
    assert call("train", "--data", photos, *shape, "--out", out) == OK
    history = History.read(out)
    assert (history.photos["side"], history.photos["width"]) == (8, 16)
    model = out / artifacts.MODEL_KERAS
    assert call("evaluate", model, "--data", photos, "--on", "validation") == OK
    assert Evaluation.read(out).accuracy == 1
    assert call("export", "--model", model, "--data", photos, "--quick", "--out", out) == OK
    assert Manifest.read(out).size == (8, 16)
    for name in formats.MODEL_FILES:
        with Classifier(out / name) as classifier:
            assert (classifier.spec.side, classifier.spec.width) == (8, 16)
            assert [classifier.classify(photos / label / "0.png").label for label in COLORS] == list(COLORS)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--height", 8), "--height and --width go together; for squares give --side"),
        (("--width", 8), "--height and --width go together"),
        (("--side", 8, "--height", 8, "--width", 16), "--side 8 is height and width of squares"),
        (("--height", 8, "--width", 12), "side 12 is no power of two; choose one, or ask for any side (--any-side)"),
        (("--height", 8, "--width", 10, "--any-side"), "side 10 does not fit resnet8, which reduces images by 4"),
    ],
)
def test_shapes_that_no_network_has_are_one_sentence(tmp_path, capsys, typed, said):
    data = painted(tmp_path / "data", count=3)
    assert call("train", "--data", data, "--model", "resnet8", *typed, "--out", tmp_path / "out") == UNUSABLE
    assert said in capsys.readouterr().err
