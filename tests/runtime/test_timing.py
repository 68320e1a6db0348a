import itertools
import time

import numpy as np
import pytest

from runtime.benchmark.statistics import latency_us, median_us, medians
from runtime.benchmark.timing import measure, shuffled, single_images, stopwatch


def test_a_contender_that_sleeps_is_measured_as_slower():
    timed = measure({"quick": str, "slow": lambda _: time.sleep(0.002)}, [None], rounds=2, runs=5)
    assert [len(values) for values in timed["slow"]] == [5, 5]
    assert median_us(timed["slow"]) >= 2000 > median_us(timed["quick"])
    assert (medians(timed["slow"]) >= 2e6).all()


def test_the_median_is_of_all_runs():
    rounds = [[1_000, 2_000], [9_000, 30_000, 3_000]]
    assert median_us(rounds) == latency_us(rounds).p50 == 3


def test_all_get_every_argument_in_turn_after_warming_up_no_longer_than_a_turn():
    calls = {"a": [], "b": []}
    measure({name: heard.append for name, heard in calls.items()}, [0, 1], rounds=2, runs=3)
    assert calls["a"] == calls["b"] == [0, 1, 0, 0, 1, 0, 1, 0, 1]


def test_rounds_have_orders_of_their_own_which_a_seed_repeats():
    turns = tuple(range(20))
    orders = list(shuffled([turns] * 3))
    assert all(sorted(order) == list(turns) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders == list(shuffled([turns] * 3)) != list(shuffled([turns] * 3, seed=1))


def test_getting_an_argument_is_not_timed():
    def slowly():
        for number in range(5):
            time.sleep(0.02)
            yield number

    nanoseconds = list(stopwatch(str, slowly()))
    assert len(nanoseconds) == 5
    assert min(nanoseconds) < 20_000_000  # another program may interrupt one of them


def test_time_is_that_of_the_given_clock():
    ticks = itertools.count(step=5)
    assert measure({"one": str}, [None], rounds=2, runs=3, clock=lambda: next(ticks)) == {"one": [[5, 5, 5]] * 2}


def test_single_images_are_batches_of_one():
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    first, second = single_images(pixels)
    assert first.shape == (1, 4, 4, 3)
    assert (second[0] == pixels[1]).all()


@pytest.mark.parametrize("counts", [{"rounds": 0}, {"rounds": 1, "runs": 0}])
def test_zero_rounds_or_runs_are_refused(counts):
    with pytest.raises(ValueError, match="rounds and runs must be 1 or more"):
        measure({"quick": str}, [None], **counts)
