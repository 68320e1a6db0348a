"""The measures of multi-label models, checked by hand and by simulation."""

import numpy as np
import pytest

from pipeline.metrics import multi_label

TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)


def test_the_measures_of_a_few_images_by_hand():
    probabilities = np.array([[0.9, 0.2, 0.1], [0.4, 0.6, 0.1], [0.6, 0.7, 0.9], [0.1, 0.8, 0.1]], np.float32)
    decided = multi_label.decisions(probabilities, (0.5, 0.5, 0.5))
    # red: one of two named is right and one of two shown is found; green: two of three, two of two; nobody shows blue
    f1 = multi_label.f1_scores(decided, TRUTH)
    assert f1[:2] == pytest.approx([1 / 2, 4 / 5])
    assert np.isnan(f1[2])
    assert multi_label.macro_f1(decided, TRUTH) == pytest.approx((1 / 2 + 4 / 5) / 2)
    # red: the images that show it stand first and third; green: second and third
    precisions = multi_label.average_precisions(probabilities, TRUTH)
    assert precisions[:2] == pytest.approx([(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2])
    assert np.isnan(precisions[2])


def test_equal_probabilities_stand_in_no_order():
    scores, truth = np.full((4, 1), 0.5, np.float32), np.array([[1], [0], [1], [0]], bool)
    assert multi_label.average_precisions(scores, truth) == pytest.approx([0.5])
    assert multi_label.average_precisions(scores, truth[::-1]) == pytest.approx([0.5])


def test_thresholds_are_the_best_of_each_label():
    scores = np.linspace(0, 1, 40, dtype=np.float32)[:, np.newaxis].repeat(3, axis=1)
    shown = np.stack([scores[:, 0] > 0.3, scores[:, 0] > 0.8, scores[:, 0] > 0.95], axis=1)
    thresholds = multi_label.best_thresholds(scores, shown)
    assert thresholds[:2] == pytest.approx((0.3, 0.8), abs=0.02)
    assert thresholds[2] == multi_label.NO_THRESHOLD  # two images are too few to choose by
    assert multi_label.macro_f1(multi_label.decisions(scores, thresholds), shown[:, :3]) > 0.7


def test_f1_with_thresholds_that_were_chosen_without_the_image_is_not_too_high():
    """The labels have no relation to the probabilities."""
    random = np.random.default_rng(2)
    scores, truth = random.random((5_050, 3)).astype(np.float32), random.random((5_050, 3)) < 0.3

    def f1(thresholds, images):
        return multi_label.macro_f1(multi_label.decisions(scores[images], thresholds), truth[images])

    few, fresh = slice(50), slice(50, None)
    chosen = multi_label.best_thresholds(scores[few], truth[few])
    honest = multi_label.cross_fitted_thresholds(scores[few], truth[few])
    real = f1(chosen, fresh)
    assert f1(chosen, few) > real + 0.04
    assert f1(honest, few) < real + 0.04
    own = (honest == honest[0]).all(axis=1)
    assert own.sum() == 50 / multi_label.FOLDS
    truth[few][own] = ~truth[few][own]
    assert (multi_label.cross_fitted_thresholds(scores[few], truth[few])[own] == honest[own]).all()


def test_an_interval_holds_the_figure_and_narrows_with_the_images():
    def width(count):
        random = np.random.default_rng(1)
        truth = random.random((count, 3)) < 0.5
        scores = (truth + random.normal(0, 0.7, (count, 3))).astype(np.float32)
        decided = multi_label.decisions(scores, (0.5,) * 3)
        low, high = multi_label.macro_f1_interval(decided, truth)
        lowest, highest = multi_label.mean_average_precision_interval(scores, truth)
        assert low < multi_label.macro_f1(decided, truth) < high
        assert lowest < multi_label.mean_average_precision(scores, truth) < highest
        return high - low

    assert width(1000) < width(50) / 2


@pytest.mark.parametrize(("images", "least", "most"), [(10, 0.74, 0.85), (30, 0.88, 0.94), (1000, 0.99, 0.999)])
def test_an_interval_of_faultless_answers_has_a_width(images, least, most):
    truth = np.indices((images, 3)).sum(axis=0) % 2 == 0
    scores = np.where(truth, 0.9, 0.1).astype(np.float32)
    for found in (
        multi_label.macro_f1_interval(truth, truth),
        multi_label.mean_average_precision_interval(scores, truth),
    ):
        assert found.high == 1
        assert least < found.low < most
    nothing_right = multi_label.macro_f1_interval(~truth, truth)
    assert nothing_right.low == 0
    assert 0 < nothing_right.high < 0.4


def test_the_interval_holds_the_true_figure_about_as_often_as_it_says():
    """One image in 50 is wrong; the bootstrap interval alone contains the true macro F1 in two of three samples."""
    random, error, shown = np.random.default_rng(5), 0.02, 0.4
    right = shown * (1 - error)
    true = 2 * right / (2 * right + (1 - shown) * error + shown * error)
    held = 0
    for _ in range(100):
        truth = random.random((40, 3)) < shown
        found = multi_label.macro_f1_interval(truth ^ (random.random((40, 3)) < error), truth)
        held += found.low <= true <= found.high
    assert held >= 93
