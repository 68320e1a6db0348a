"""Export writes the familiarity score only if it tells photos of the classes from other pictures."""

import keras
import numpy as np
import pytest

from pipeline.data.dataset import Dataset
from pipeline.documents import known
from pipeline.documents.manifest import Manifest
from pipeline.export import Settings, export, familiarity
from pipeline.export.load.model import Source
from pipeline.metrics.significance import auroc_interval
from runtime import Classifier

ABSENT, DOUBTED = "The files have no familiarity score (is_known): ", "Do not rely on familiarity (is_known), "


def logits(pixels):
    """Logits of two classes: the mean, and its negative."""
    means = pixels.mean(axis=(1, 2, 3)).astype(np.float32)
    return np.stack([means, -means], axis=1)


def photos(count, value=255, names=("a", "b")):
    return Dataset(np.full((count, 8, 8, 3), value, np.uint8), np.arange(count) % 2, names)


@pytest.mark.parametrize(
    ("images", "required", "useful", "written", "said"),
    [
        (photos(29), False, False, False, f"{ABSENT}it takes 30 validation photos, there are 29. Give 300 "),
        (
            photos(29),
            True,
            False,
            True,
            f"{DOUBTED}which --keep asked for: it takes 30 validation photos, there are 29.",
        ),
        (
            photos(30),
            False,
            True,
            True,
            "Familiarity (is_known) tells photos of the classes from other pictures: AUROC 1",
        ),
        (
            photos(30, 0),
            False,
            False,
            False,
            f"{ABSENT}it hardly tells photos of the classes from other pictures (AUROC ",
        ),
        (photos(30, 130), False, False, False, f"{ABSENT}it hardly tells photos of the classes from other pictures ("),
        (
            photos(30, 130),
            True,
            False,
            True,
            f"{DOUBTED}which --keep asked for: it hardly tells photos of the classes ",
        ),
    ],
)
def test_familiarity_is_written_if_it_tells_photos_from_other_pictures(images, required, useful, written, said):
    found = familiarity.check(logits, images, required=required)
    assert (found.is_useful, found.written) == (useful, written)
    assert found.sentence.startswith(said)
    assert useful or "photos or more, or 30 in val" in found.sentence or "more photos" in found.sentence


def test_photos_of_the_class_none_count_among_the_other_pictures():
    found = familiarity.check(logits, photos(400, names=("a", "none")), required=False)
    assert found.photos == 200
    assert found.auroc == pytest.approx((200 + 0.5 * 200) / 400, abs=0.01), "photos of none score as those of a"


def test_the_interval_of_an_area_is_hanleys_and_mcneils():
    assert auroc_interval(0.9, 50, 50) == pytest.approx((0.8370, 0.9630), abs=5e-5)
    assert auroc_interval(1.0, 50, 50) == (1, 1)


@pytest.mark.slow
def test_a_score_that_tells_nothing_is_left_out_unless_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(known, "NEAR_CHANCE", 1.0)
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")]).save(tmp_path / "tiny.keras")
    noise = Dataset(np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8), np.arange(60) % 2, ("a", "b"))
    source, out = Source(tmp_path / "tiny.keras", class_names=("a", "b")), tmp_path / "out"
    files = ("model_fp32.onnx", "model_int8.onnx")
    for keep, is_there, said in ((None, False, ABSENT), (0.9, True, DOUBTED)):
        manifest = export(source, out, noise, noise, Settings(quick=True, files=files, keep=keep))
        assert [Classifier(out / name).spec.known_threshold is not None for name in files] == [is_there] * 2
        assert manifest.familiarity.sentence.startswith(said)
        assert manifest.familiarity.sentence in manifest.as_table().notes
        assert Manifest.read(out).familiarity == manifest.familiarity
    manifest = export(source, out, noise, noise, Settings(quick=True, files=("model_fp32.tflite",)))
    assert manifest.familiarity is None, "by default a flatbuffer has no score"
