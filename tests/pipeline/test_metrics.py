"""Each measure against values computed by hand or printed in its source."""

import subprocess
import sys

import numpy as np
import pytest

from pipeline.metrics.classification import accuracy, agreement, correct, discordant, exact_match, same_class
from pipeline.metrics.difference import (
    Distance,
    correlation,
    decibels,
    energy,
    max_difference,
    mean_difference,
    noise_ratio,
    snr_db,
)
from pipeline.metrics.significance import (
    beats_chance,
    binomial_greater,
    effective_count,
    grouped_interval,
    mcnemar,
    mcnemar_one_sided,
    mean_greater,
    share_interval,
    wilson,
)

LABELS = np.array([0, 1, 1, 0])
FIRST = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]], np.float32)  # right, right, wrong, wrong
SECOND = np.array([[0.6, 0.4], [0.9, 0.1], [0.1, 0.9], [0.3, 0.7]], np.float32)  # right, wrong, right, wrong


def test_right_answers_are_counted():
    assert correct(FIRST, LABELS).tolist() == [True, True, False, False]
    assert accuracy(FIRST, LABELS) == 0.5
    assert agreement(FIRST, SECOND) == 0.5
    assert same_class(FIRST, SECOND).tolist() == [True, False, False, True]
    assert discordant(correct(FIRST, LABELS), correct(SECOND, LABELS)) == (1, 1)
    assert discordant(correct(FIRST, LABELS), correct(FIRST, 1 - LABELS)) == (2, 2)
    assert discordant(np.array([True, True, False]), np.array([False, True, False])) == (1, 0)


def test_an_exact_match_has_every_label_right():
    assert exact_match(np.array([0, 2, 1, 1]), np.array([0, 1, 1, 1])) == 0.75
    assert exact_match(np.array([[1, 0], [1, 1], [0, 0]]), np.array([[1, 0], [1, 0], [0, 0]])) == pytest.approx(2 / 3)


def test_the_noise_ratio_divides_energies():
    assert energy(np.array([[3.0], [-4.0]], np.float32)) == 25
    assert noise_ratio(25.0, 0.25) == 0.01
    assert noise_ratio(0.0, 1.0) >= 1e9


def test_differences_are_absolute_and_show_nan():
    assert max_difference(FIRST, SECOND) == pytest.approx(0.7)
    assert mean_difference(FIRST, SECOND) == pytest.approx((0.3 + 0.7 + 0.6 + 0.1) / 4)
    assert np.isnan(max_difference(FIRST, np.full_like(FIRST, np.nan)))
    assert np.isnan(mean_difference(FIRST, np.full_like(FIRST, np.nan)))


@pytest.mark.parametrize(
    ("signal", "noise", "expected"), [(100, 1, 20), (1, 1, 0), (1, 10, -10), (1, 0, 200), (0, 1, -200)]
)
def test_decibels_are_tenths_of_a_power_of_ten(signal, noise, expected):
    assert decibels(signal, noise) == pytest.approx(expected)


def test_signal_to_noise_ratio_is_that_of_powers():
    expected = np.array([3.0, 4.0])
    assert snr_db(expected, expected * 1.1) == pytest.approx(20)
    assert snr_db(expected, expected) == 200


def test_a_distance_in_chunks_is_that_of_the_whole():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 100))
    whole, parts = Distance(), Distance()
    whole.add(first, second)
    for half in (slice(0, 30), slice(30, 100)):
        parts.add(first[half], second[half])
    assert parts.snr_db == pytest.approx(whole.snr_db) == pytest.approx(snr_db(first, second))
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert parts.cosine == pytest.approx(whole.cosine) == pytest.approx(cosine)


def test_correlation_ignores_scale_and_offset():
    values = np.array([1.0, 2.0, 4.0])
    assert correlation(values, 3 * values + 7) == pytest.approx(1)
    assert correlation(values, -values) == pytest.approx(-1)
    assert correlation(values, np.ones(3)) == 0


@pytest.mark.parametrize(("first", "second", "p_value"), [(0, 0, 1.0), (5, 5, 1.0), (10, 0, 2 / 1024), (1, 0, 1.0)])
def test_mcnemar_is_the_two_sided_coin(first, second, p_value):
    assert mcnemar(first, second) == pytest.approx(p_value)


@pytest.mark.parametrize(("first", "second", "p_value"), [(0, 0, 1.0), (10, 0, 1 / 1024), (0, 10, 1.0), (4, 1, 6 / 32)])
def test_one_sided_mcnemar_asks_whether_the_first_is_better(first, second, p_value):
    assert mcnemar_one_sided(first, second) == pytest.approx(p_value)


def test_wilson_interval_is_the_published_one():
    """R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert share_interval(81 / 263, 263) == wilson(81, 263)
    assert (wilson(0, 20).low, wilson(20, 20).high) == (0, 1)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_no_trials_has_no_interval(successes, trials):
    with pytest.raises(ValueError, match=f"got {successes} of {trials}"):
        wilson(successes, trials)


@pytest.mark.parametrize(("successes", "p_value"), [(0, 1.0), (1, 1 - 0.8**10), (3, 0.3222), (10, 0.2**10)])
def test_a_count_is_as_unlikely_as_the_binomial_distribution_says(successes, p_value):
    assert binomial_greater(successes, 10, 0.2) == pytest.approx(p_value, abs=5e-5)


@pytest.mark.parametrize(("bound", "p_value"), [(2, 0.1151), (3, 0.5), (4, 0.8849)])
def test_a_mean_is_as_far_from_a_bound_as_students_distribution_says(bound, p_value):
    """Of 1 to 5 with a standard error of 0.707."""
    assert mean_greater(np.arange(1.0, 6), bound) == pytest.approx(p_value, abs=5e-5)
    assert mean_greater(np.array([3.5, 3.5]), bound) == (bound > 3.5)


@pytest.mark.parametrize(
    ("sizes", "effective"), [([1] * 100, 100), ([5] * 20, 20), ([50, *[1] * 50], 100**2 / 2_550), ([7], 1)]
)
def test_images_of_a_group_count_as_few(sizes, effective):
    assert effective_count(np.array(sizes)) == pytest.approx(effective)
    found, single = grouped_interval(0.9, np.array(sizes)), grouped_interval(0.9, np.ones(sum(sizes), int))
    assert found.low <= single.low < 0.9 < single.high <= found.high
    assert grouped_interval(1.0, np.array(sizes)).high == pytest.approx(1)
    assert grouped_interval(0.0, np.array(sizes)).low == pytest.approx(0, abs=1e-12)


def test_the_interval_of_single_images_is_wilsons():
    assert grouped_interval(0.9, np.ones(100, int)) == pytest.approx(share_interval(0.9, 100))


def test_chance_is_beaten_by_three_standard_errors():
    error = np.sqrt(0.1 * 0.9 / 1_000)
    assert not beats_chance(0.1 + 2.9 * error, 1_000, 10)
    assert beats_chance(0.1 + 3.1 * error, 1_000, 10)


def test_metrics_load_no_keras():
    code = (
        "import sys, pkgutil, importlib, pipeline.metrics as metrics\n"
        "for module in pkgutil.iter_modules(metrics.__path__):\n"
        "    importlib.import_module(f'pipeline.metrics.{module.name}')\n"
        "print(sorted({'keras', 'tensorflow', 'onnxruntime', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("expected", "got", "cosine"), [([0, 0], [0, 0], 1), ([0, 0], [1, 0], 0), ([3, 4], [6, 8], 1)])
def test_cosine_is_one_of_equal_arrays_even_of_zeros(expected, got, cosine):
    distance = Distance()
    distance.add(np.array(expected), np.array(got))
    assert distance.cosine == pytest.approx(cosine)
