import numpy as np
import pytest

from pipeline.training.augmentation import GRAY, apply, draw, targets
from pipeline.training.settings import Settings

COUNT, SIDE = 64, 32
ALL = np.arange(COUNT)
PLAIN = {"shift": 0.0, "flip": 0.0}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)


def planned(**settings):
    return draw(COUNT, (SIDE, SIDE), Settings(**{**PLAIN, **settings}), (0, 1))


def test_nothing_asked_for_changes_nothing(pixels):
    assert (apply(pixels, planned(), ALL) == pixels).all()


def test_shifts_and_flips_invent_no_values():
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8)[None, None, :, None], (COUNT, SIDE, 1, 3))
    result = apply(ramp, planned(shift=0.125, flip=0.5), ALL)
    assert result.shape == ramp.shape
    assert set(np.unique(result)) <= set(range(SIDE))
    middle = result[:, 0, 16, 0].astype(int)
    flipped = result[:, 0, 20, 0] < result[:, 0, 12, 0]
    assert 16 < flipped.sum() < 48
    moved = set(middle[~flipped] - 16)
    assert moved <= set(range(-4, 5))
    assert len(moved) > 4


def test_a_pass_is_fixed_by_its_seed_and_does_not_depend_on_the_batch(pixels):
    settings = {"shift": 0.125, "flip": 0.5, "color": 0.3, "random_erasing": 0.5, "cutmix": 0.4, "mixup": 0.4}
    whole = apply(pixels, planned(**settings), ALL)
    chosen = np.asarray([40, 3, 17])
    assert (apply(pixels, planned(**settings), chosen) == whole[chosen]).all()
    other = draw(COUNT, (SIDE, SIDE), Settings(**settings), (0, 2))
    assert (apply(pixels, other, ALL) != whole).any()


@pytest.mark.parametrize("size", [(16, 48), (48, 16)])
def test_images_that_are_not_square_keep_their_shape(size):
    """Image i is all of value 4 i, so that boxes and shares can be read from its pixels."""
    height, width = size
    flat = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * 4, (COUNT, *size, 3)).copy()
    everything = Settings(shift=0.125, flip=0.5, cutmix=1.0)
    plan = draw(COUNT, size, everything, (0, 1))
    result = apply(flat, plan, ALL)
    assert result.shape == flat.shape
    expected = targets(ALL, COUNT, plan, ALL) @ (np.arange(COUNT) * 4)
    assert np.abs(result.mean(axis=(1, 2, 3)) - expected).max() < 0.6
    assert (plan.cut[:, :2].max(), plan.cut[:, 2:].max()) == (height, width)
    erased = apply(flat + 1, draw(COUNT, size, Settings(**PLAIN, random_erasing=1.0), (0, 1)), ALL) == GRAY
    assert erased[:, : height // 2, : width // 2].any()
    assert erased[:, height // 2 :, width // 2 :].any()


def test_erased_boxes_are_gray(pixels):
    result = apply(pixels, planned(random_erasing=1.0), ALL)
    changed = (result != pixels).any(axis=3)
    assert changed.any(axis=(1, 2)).all()
    assert (result[changed] == GRAY).all()
    assert changed.mean() < 0.3


def test_colors_keep_an_even_image_even():
    even = np.full((COUNT, SIDE, SIDE, 3), 100, np.uint8)
    result = apply(even, planned(color=0.2), ALL)
    assert (result == result[:, :1, :1]).all()
    assert 79 <= result.min() < 90
    assert 110 < result.max() <= 121


@pytest.mark.parametrize("settings", [{"cutmix": 1.0}, {"mixup": 1.0}])
def test_shares_of_classes_are_shares_of_pixels(settings):
    """Image i is all of value i, so what a mixed image is made of can be read from its pixels."""
    flat = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * 4, (COUNT, SIDE, SIDE, 3)).copy()
    plan = planned(**settings)
    result = apply(flat, plan, ALL)
    shares = targets(ALL, COUNT, plan, ALL)
    assert np.allclose(shares.sum(axis=1), 1)
    expected = shares @ (np.arange(COUNT) * 4)
    assert np.abs(result.mean(axis=(1, 2, 3)) - expected).max() < 0.6
    assert (shares.max(axis=1) < 0.95).sum() > COUNT // 4
