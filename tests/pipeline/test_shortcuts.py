"""Brightness, size or shape of photos is reported if it alone predicts the class."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.training.transfer import shortcuts as module
from pipeline.training.transfer.shortcuts import shortcut_features


def single(**changes):
    """Forty photos of two classes; ``changes`` gives the brightness of each class."""
    means = {"dark": 100, "light": 100} | changes
    random = np.random.default_rng(0)
    pixels = np.concatenate(
        [random.normal(mean, 12, (20, 1, 1, 1)) + np.zeros((1, 8, 8, 3)) for mean in means.values()]
    )
    return Dataset(pixels.clip(0, 255).astype(np.uint8), np.arange(40) // 20, tuple(means),
                   tuple(f"{at}.png" for at in range(40)))  # fmt: skip


def test_a_number_that_alone_predicts_the_class_is_named(tmp_path):
    folds = np.arange(40) % 5
    for at in range(40):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{at}.png")
    assert shortcut_features(single(), tmp_path, folds) == ()
    (found,) = shortcut_features(single(light=160), tmp_path, folds)
    assert (found.name, found.lowest, found.highest, found.images, found.chance) == (
        "brightness",
        "dark",
        "light",
        40,
        0.5,
    )
    assert found.accuracy > 0.9
    assert 0.5 < found.low < found.accuracy <= found.high
    for at in range(20):
        Image.new("RGB", (48, 128)).save(tmp_path / f"{at}.png")
    names = [row.name for row in shortcut_features(single(), tmp_path, folds)]
    assert sorted(names) == ["megapixels", "shape"]
    (tmp_path / "0.png").write_bytes(b"nothing")
    (tmp_path / "1.png").unlink()
    found = shortcut_features(single(), tmp_path, folds)
    assert {row.images for row in found} == {38}
    assert "The size of a photo alone tells 100% of 38 apart" in " ".join(row.sentence for row in found)


@pytest.mark.parametrize(("right", "alone", "of_three"), [(26, False, False), (28, True, False), (30, True, True)])
def test_the_test_is_corrected_for_the_count_of_numbers(tmp_path, monkeypatch, right, alone, of_three):
    """Of 40 photos 26 happen by chance once in 25 times, 28 once in 120, 30 once in 900."""
    photos, folds = single(), np.arange(40) % 5
    pixels = np.full((40, 1, 1, 3), 50, np.uint8)
    pixels[20:] = 150
    wrong = (40 - right) // 2
    pixels[:wrong], pixels[20 : 20 + wrong] = 150, 50
    photos = replace(photos, pixels=pixels, paths=())
    assert [row.accuracy for row in shortcut_features(photos, tmp_path, folds)] == [right / 40] * alone
    monkeypatch.setattr(module, "_of_files", lambda *_: {"megapixels": np.ones(40), "shape": np.ones(40)})
    assert [row.accuracy for row in shortcut_features(photos, tmp_path, folds)] == [right / 40] * of_three
