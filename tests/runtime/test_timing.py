import time

import numpy as np
import pytest

from runtime.benchmark.timing import measure

PIXELS = np.zeros((3, 8, 8, 3), np.uint8)


def test_a_contender_that_sleeps_is_measured_as_slower():
    result = measure({"quick": len, "slow": lambda _: time.sleep(0.002)}, PIXELS, rounds=2, runs_per_round=5)
    assert result["slow"].p50_us >= 2000 > result["quick"].p50_us
    assert result["slow"].p50_us <= result["slow"].p90_us <= result["slow"].p99_us
    assert result["slow"].runs == 10


def test_warming_up_takes_no_longer_than_a_turn():
    calls = []
    measure({"counted": calls.append}, PIXELS, rounds=1, runs_per_round=3)
    assert len(calls) == 6


def test_zero_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds"):
        measure({"quick": len}, PIXELS, rounds=0)
