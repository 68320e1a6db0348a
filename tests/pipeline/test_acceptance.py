"""Files that pass the acceptance criteria, and files that do not."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.dataset import Dataset
from pipeline.export.quantize.acceptance import AcceptanceCriteria, judge
from pipeline.formats import INT8
from pipeline.verify.parity.classes import ClassParity

NAMES = ("cat", "dog")
LOSS_ALONE = AcceptanceCriteria(max_mean_difference=1.0, min_agreement=0.0)


def answers(classes):
    return np.eye(2, dtype=np.float32)[classes]


def compare(images, lost, won=0, criteria=LOSS_ALONE):
    """Two alternating classes; Keras is wrong on the last ``won`` images, the file on the first ``lost`` images."""
    labels = np.arange(images) % 2
    keras, got = labels.copy(), labels.copy()
    keras[images - won :] ^= 1
    got[:lost] ^= 1
    return judge(answers(keras), answers(got), labels, NAMES, criteria)


def test_half_a_point_may_be_lost_and_no_more():
    assert compare(2_000, 10).passed
    judgment = compare(2_000, 11)
    assert judgment.violations == ("over all: 0.6 points lost (11 of 2,000 images, 10.0 allowed)",)
    assert judgment.lost_points == pytest.approx(0.55)


def test_what_is_won_makes_up_for_what_is_lost():
    judgment = compare(2_000, 15, won=5)
    assert judgment.passed
    assert (judgment.only_keras_right, judgment.only_candidate_right) == (15, 5)


def test_one_class_may_not_pay_for_all():
    labels = np.arange(4_000) % 2
    got = labels.copy()
    got[0:122:2] = 1  # 61 of 2,000 cats
    got[1:122:2] = 1
    keras = labels.copy()
    keras[3_879::2] = 0  # 61 dogs that Keras misses: over all nothing is lost
    judgment = judge(answers(keras), answers(got), labels, NAMES, LOSS_ALONE)
    assert judgment.lost_points == 0
    assert judgment.violations == ("cat: 3.0 points lost (61 of 2,000 images, 60.0 allowed)",)
    assert (judgment.worst_class, judgment.worst_class_lost_points) == ("cat", pytest.approx(3.05))


def test_on_few_images_chance_alone_breaks_no_bound():
    assert compare(100, 4).passed  # a coin falls so once in 16 times
    assert not compare(100, 5).passed  # once in 32
    assert compare(1_000, 15, won=8).passed  # 7 points of a thousand, as likely as 1 in 10
    assert not compare(1_000, 15, won=4).passed


def test_other_answers_and_numbers_that_are_none_do_not_pass():
    labels = np.zeros(100, np.int64)
    flat = np.full((100, 2), 0.5, np.float32)
    assert "mean difference" in judge(answers(labels), flat, labels, NAMES).violations[0]
    assert not judge(answers(labels), np.full((100, 2), np.nan, np.float32), labels, NAMES).passed
    wrong = answers(1 - labels)
    swapped = judge(wrong, answers(labels), labels, NAMES)
    assert any("agreement 0.00%" in violation for violation in swapped.violations)


LAX = AcceptanceCriteria(max_points=100, max_class_points=100, min_agreement=0.0, max_mean_difference=1.0)


@pytest.mark.parametrize(
    ("images", "flipped", "passes"),
    [
        (30, 1, True),  # 96.67 %: a public model of leaves
        (30, 3, True),  # once in 17 draws of 97 %
        (30, 4, False),  # once in 85
        (1_000, 39, True),
        (1_000, 40, False),
        (5_000, 180, False),
        (1, 1, False),
    ],
)
def test_agreement_counts_only_beyond_chance(images, flipped, passes):
    labels = np.zeros(images, np.int64)
    got = labels.copy()
    got[:flipped] = 1
    assert judge(answers(labels), answers(got), labels, NAMES, replace(LAX, min_agreement=0.97)).passed == passes


@pytest.mark.parametrize(
    ("images", "apart", "passes"), [(30, 1, True), (30, 8, False), (3_000, 60, True), (3_000, 110, False)]
)
def test_the_mean_difference_counts_only_beyond_chance(images, apart, passes):
    """Some images differ by 0.8, all others not at all; allowed are 0.02 on average."""
    labels = np.zeros(images, np.int64)
    expected = np.tile(np.float32([0.9, 0.1]), (images, 1))
    got = expected.copy()
    got[:apart] = [0.1, 0.9]
    assert judge(expected, got, labels, NAMES, replace(LAX, max_mean_difference=0.02)).passed == passes


@pytest.mark.parametrize(("lost", "broken"), [(0, []), (300, ["agreement 70.00% < 97%", "accuracy drop 30.00 points"])])
def test_parity_says_which_limits_the_classes_of_a_file_break(lost, broken):
    labels = np.arange(1_000) % 2
    got = labels.copy()
    got[:lost] ^= 1
    images = Dataset(np.zeros((1_000, 8, 8, 3), np.uint8), labels, NAMES)
    parity = ClassParity(answers(labels), answers(got), images)
    assert parity.figures["accuracy_drop_points"] == lost / 10
    said = parity.violations(INT8.tolerance)
    assert len(said) == len(broken)
    assert all(map(str.startswith, said, broken))
