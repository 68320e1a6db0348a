"""Out-of-fold accuracy on few photos: similar photos, folds, the last layer, and the learning curve."""

import tracemalloc

import numpy as np
import pytest

from pipeline.data import folds
from pipeline.data import rows as large
from pipeline.data.dataset import Dataset
from pipeline.data.folds import look_alike, stratified
from pipeline.documents.history import History
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.errors import DataError
from pipeline.export.accuracy import out_of_fold as out_of_fold_of
from pipeline.export.accuracy import with_accuracy
from pipeline.metrics.significance import share_interval
from pipeline.training.transfer import cross_validation, head
from pipeline.training.transfer.run import out_of_fold
from runtime.spec import OUT_OF_FOLD, ModelSpec


def clusters(count, classes, width, spread, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centers = np.random.default_rng(99).normal(size=(classes, width))
    return (centers[labels] + spread * random.normal(size=(count, width))).astype(np.float32), labels


def test_pairs_that_look_alike_in_two_classes_are_named():
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    pixels[4], pixels[5] = pixels[1], pixels[2]
    photos = Dataset(pixels, np.array([0, 0, 1, 1, 1, 1]), ("ant", "bee"), tuple("abcdef"))
    judged = cross_validation.CrossValidation(np.eye(2)[photos.labels], 1.0, 2, 1, ((1.0, 1.0),), 1.0)
    found = out_of_fold(judged, photos, look_alike(pixels))
    assert found.between_classes == (("b", "e"),)  # c and f are of one class
    assert found.look_alike == 4
    assert found.effective == 36 / 10  # two alone, two pairs
    assert found.low < share_interval(1.0, 6).low


def test_the_head_is_at_the_optimum():
    rows, labels = clusters(90, 3, 8, 0.8)
    rows[:, 0] = 5  # says nothing
    fitted = head.fit(np.stack([rows, rows]), labels, 3)
    logits = fitted.logits(rows)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    error = (shares / shares.sum(1, keepdims=True) - np.eye(3)[labels]) / len(rows)
    deviation = rows.std(0)
    gradient = (rows - rows.mean(0)).T @ error + head.PENALTY * fitted.kernel * deviation[:, None] ** 2
    assert np.abs(gradient).max() < 1e-3
    assert np.abs(error.sum(0)).max() < 1e-3
    assert (fitted.kernel[0] == 0).all()
    assert (logits.argmax(1) == labels).mean() > 0.8


@pytest.mark.parametrize(("photos", "penalty"), [(10, 0.3), (800, 0.3), (2_500, 0.1), (10_000, 0.025)])
def test_the_penalty_of_many_photos_weighs_less_beside_each_of_them(photos, penalty):
    assert head.penalty_for(photos) == pytest.approx(penalty)


def test_the_penalty_is_that_of_the_photos_that_are_chosen(monkeypatch):
    monkeypatch.setattr(head, "PRIOR", 30.0)
    rows, labels = clusters(400, 3, 8, 0.8)
    chosen = np.arange(0, 400, 2)
    given = head.fit(rows, labels, 3, penalty=0.15, chosen=chosen)
    np.testing.assert_array_equal(head.fit(rows, labels, 3, chosen=chosen).kernel, given.kernel)


def test_the_head_is_the_same_read_part_by_part(monkeypatch):
    rows, labels = clusters(90, 3, 8, 0.8)
    rows[:, 0] = 5
    views_of, chosen = np.stack([rows, rows + 0.1]).astype(np.float16), np.arange(0, 90, 2)
    whole = head.fit(views_of, labels, 3, chosen=chosen)
    np.testing.assert_allclose(head.fit(views_of[:, chosen], labels[chosen], 3).kernel, whole.kernel)
    monkeypatch.setattr(head, "PART_BYTES", 400)
    monkeypatch.setattr(head, "HELD_BYTES", 400)
    parted = head.fit(views_of, labels, 3, chosen=chosen)
    np.testing.assert_allclose(parted.kernel, whole.kernel, atol=1e-3)
    np.testing.assert_allclose(parted.logits(rows), whole.logits(rows), atol=0.01)
    np.testing.assert_allclose(parted.logits(rows, chosen), parted.logits(rows)[chosen])


def peak_of(action):
    """Bytes of memory that an action takes at once."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_features_that_are_held_are_held_once(monkeypatch):
    monkeypatch.setattr(head, "PART_BYTES", 2**14)
    monkeypatch.setattr(head, "ITERATIONS", 1)
    rows, labels = np.ones((2_000, 256), np.float16), np.arange(2_000) % 2
    assert rows.size * 4 < peak_of(lambda: head.fit(rows, labels, 2)) < 1.5 * rows.size * 4


def test_half_precision_is_converted_exactly():
    finite = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = finite[np.isfinite(finite)].reshape(-1, 16)
    converted = np.empty(finite.shape, np.float32)
    head.to_float32(finite, converted)
    np.testing.assert_array_equal(converted.view(np.int32), finite.astype(np.float32).view(np.int32))


@pytest.mark.parametrize("held", [0, 2**30])
def test_many_photos_need_hardly_more_memory_than_few(monkeypatch, tmp_path, held):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    monkeypatch.setattr(large, "LARGEST_COPY", 2**15)
    monkeypatch.setattr(head, "PART_BYTES", 2**18)
    monkeypatch.setattr(head, "HELD_BYTES", held)
    monkeypatch.setattr(head, "ITERATIONS", 2)
    monkeypatch.setattr(folds, "CHUNK", 16)
    monkeypatch.setattr(folds, "COLUMNS", 64)
    peaks = []
    for count in (500, 2_500):
        seen = np.lib.format.open_memmap(tmp_path / f"{count}.npy", "w+", np.float16, (1, count, 1_024))
        seen[0, :, 0] = labels = np.arange(count) % 2
        pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
        known = cross_validation.Views(seen, labels, np.arange(count), 2)
        peaks.append([peak_of(lambda: cross_validation.cross_validate(known, 0)), peak_of(lambda: look_alike(pixels))])  # noqa: B023 - at once
    per_photo = np.subtract(*reversed(peaks)) / 2_000
    assert per_photo[0] < 256  # its features alone have 2,048 bytes in float16, 4,096 in float32
    assert per_photo[1] < 100  # its thumbnail alone is 192


def test_photos_that_look_alike_are_one_group():
    random = np.random.default_rng(0)
    scenes = random.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(12, 1).repeat(12, 2)
    burst = np.clip(scenes[:2].astype(int) + random.integers(-6, 7, (2, 96, 96, 3)), 0, 255).astype(np.uint8)
    dark, bright = np.full((1, 96, 96, 3), 20, np.uint8), np.full((1, 96, 96, 3), 200, np.uint8)
    groups = look_alike(np.concatenate([scenes, burst, dark, bright]))
    assert groups[5] == groups[0]
    assert groups[6] == groups[1]
    assert len(np.unique(groups)) == 7  # flat photos of another brightness are other photos


@pytest.mark.parametrize(("count", "classes", "folds"), [(60, 3, 5), (43, 4, 10), (11, 2, 2)])
def test_folds_hold_all_classes_and_no_group_is_torn(count, classes, folds):
    random = np.random.default_rng(0)
    labels, groups = random.permutation(np.arange(count) % classes), np.arange(count)
    groups[::7] = groups[0]
    found = stratified(labels, groups, folds, 0)
    assert set(found) == set(range(folds))
    assert len(set(found[::7])) == 1
    sizes = [np.bincount(found[labels == label], minlength=folds) for label in range(classes)]
    assert max(size.max() - size.min() for size in sizes) <= 2


@pytest.mark.slow
def test_out_of_fold_accuracy_is_not_that_of_what_was_learned():
    """Random labels cannot be predicted, even if a network with many features memorizes them."""
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(1, 120, 200)), random.integers(0, 2, 120)
    found = cross_validation.cross_validate(cross_validation.Views(rows, labels, np.arange(120), 2), 0)
    assert 0.3 < found.accuracy < 0.7
    assert (found.folds, found.repeats) == (10, 1)
    twice = np.concatenate([rows, rows], 1)
    torn = cross_validation.cross_validate(cross_validation.Views(twice, np.tile(labels, 2), np.arange(240), 2), 0)
    whole = cross_validation.cross_validate(
        cross_validation.Views(twice, np.tile(labels, 2), np.tile(np.arange(120), 2), 2), 0
    )
    assert torn.accuracy > 0.9  # copies in other folds give the answers away …
    assert whole.accuracy < 0.7  # … and do not where a group stays together


def test_photos_of_one_burst_alone_are_refused():
    rows, labels = clusters(30, 3, 8, 0.5)
    with pytest.raises(DataError, match="all 30 photos look alike"):
        cross_validation.cross_validate(cross_validation.Views(rows[None], labels, np.zeros(30, np.int64), 3), 0)


@pytest.mark.slow
def test_few_photos_are_divided_several_times():
    rows, labels = clusters(30, 3, 8, 0.5)
    found = cross_validation.cross_validate(cross_validation.Views(rows[None], labels, np.arange(30), 3), 0)
    assert (found.folds, found.repeats, found.temperature) == (10, 3, 1.0)
    assert [round(count, 2) for count, _ in found.curve] == [2.25, 4.5, 9.0]


@pytest.mark.parametrize(
    ("curve", "gain"),
    [
        (((10, 0.6), (20, 0.8), (40, 0.9)), 0.05),
        (((10, 0.9), (20, 0.9), (40, 0.9)), None),
        (((10, 0.9), (20, 0.8), (40, 0.7)), None),
        (((10, 0.9), (20, 1.0), (40, 1.0)), None),
    ],
)
def test_what_twice_as_many_photos_bring(curve, gain):
    assert cross_validation.expected_gain(curve) == (gain if gain is None else pytest.approx(gain))


@pytest.mark.parametrize(
    ("entries", "lost", "accuracy", "images"),
    [
        (None, 1, 0.5, 4),
        ({"accuracy": 0.9, "images": 200}, 0, 0.9, 200),
        ({"accuracy": 0.9, "images": 200, "effective": 150.4}, 1, 0.65, 150),
        ({"accuracy": 0.9, "images": 200}, -1, 1.0, 200),
    ],
)
def test_a_file_carries_the_out_of_fold_figure_less_what_it_lost(entries, lost, accuracy, images):
    fixed = {"low": 0.8, "high": 1.0, "folds": 5, "repeats": 1, "look_alike": 0}
    found = OutOfFold(**fixed, **entries) if entries else None
    photos = Dataset(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 0, 1, 1]), ("a", "b"))
    keras_right, file_right = 3, 3 - lost

    def answers(right):
        labels = np.where(np.arange(4) < right, photos.labels, 1 - photos.labels)
        return np.eye(2, dtype=np.float32)[labels]

    spec = with_accuracy(
        ModelSpec(8, ("a", "b"), provenance={"x": "y"}), answers(file_right), answers(keras_right), photos, found
    )
    assert spec.accuracy == pytest.approx(accuracy)
    assert spec.accuracy_images == images
    assert spec.provenance == {"x": "y"} | ({"accuracy": OUT_OF_FOLD} if entries else {})


def test_the_out_of_fold_figure_of_other_classes_does_not_count():
    fixed = {"low": 0.8, "high": 1.0, "folds": 5, "repeats": 1, "look_alike": 0}
    found = OutOfFold(accuracy=0.9, images=20, **fixed)
    assert out_of_fold_of(History(class_names=("a", "b"), out_of_fold=found), ("a", "b")) == found
    assert out_of_fold_of(History(class_names=("a", "b"), out_of_fold=found), ("a", "c")) is None
    assert out_of_fold_of(None, ("a", "b")) is None
