"""Brightness, size or shape of photos is reported if it alone predicts the class."""

import numpy as np
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.training.transfer.single_numbers import single_numbers


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
    assert single_numbers(single(), tmp_path, folds) == ()
    (found,) = single_numbers(single(light=160), tmp_path, folds)
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
    names = [row.name for row in single_numbers(single(), tmp_path, folds)]
    assert sorted(names) == ["megapixels", "shape"]
    (tmp_path / "0.png").write_bytes(b"nothing")
    (tmp_path / "1.png").unlink()
    found = single_numbers(single(), tmp_path, folds)
    assert {row.images for row in found} == {38}
    assert "The size of a photo alone tells 100% of 38 apart" in " ".join(row.stated for row in found)
