"""docs/quantization.md shows the figures of docs/rounding.json, and adaptive rounding does what it says."""

import numpy as np

from docs.figures import rounding
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.export.quantize.channels import channel_scales


def test_the_table_is_the_files(repository):
    report = artifacts.read_json(repository / rounding.FIGURES)
    text = (repository / rounding.DOCUMENT).read_text(encoding="utf-8")
    assert marked("rounding", rounding.tables(report)) in text


def test_the_error_of_outputs_is_smaller_than_with_the_nearest_integers():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(1_000, 4)) @ random.normal(size=(4, 16)) + 0.1 * random.normal(size=(1_000, 16))
    rows = random.normal(size=(8, 16)).astype(np.float32)
    scales = channel_scales(rows, 0, 14)
    moments = inputs.T @ inputs / len(inputs)
    nearest = np.rint(rows / scales[:, np.newaxis])
    steps = rounding.rounded(rows, scales, moments, highest=7)
    errors = [np.square(inputs @ (found * scales[:, np.newaxis] - rows).T).mean() for found in (steps, nearest)]
    assert errors[0] < errors[1] / 2
    assert (np.abs(steps).max(axis=1) == 7).all()
    largest = np.abs(nearest) == 7
    assert (steps[largest] == nearest[largest]).all()


def test_without_correlation_the_nearest_integers_are_best():
    rows = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    scales = channel_scales(rows, 0, 254)
    assert (rounding.rounded(rows, scales, np.eye(16)) == np.rint(rows / scales[:, np.newaxis])).all()
