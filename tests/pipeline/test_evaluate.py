import re
from dataclasses import asdict

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts, cli
from pipeline.data import samples
from pipeline.data.dataset import Dataset, split
from pipeline.data.photo_settings import Settings as PhotoSettings
from pipeline.documents.evaluation import Evaluation
from pipeline.documents.history import History
from pipeline.errors import PipelineError
from pipeline.export import Settings as ExportSettings
from pipeline.export import export
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import Source, load
from pipeline.metrics.calibration import (
    fit_temperature,
    negative_log_likelihood,
    reliability,
    softmax,
    temperature_of,
)
from pipeline.metrics.classification import confusion_matrix
from pipeline.training import Settings, train
from pipeline.verify import evaluate as evaluation
from pipeline.verify import parity
from pipeline.verify.evaluate import evaluate, format_evaluation
from pipeline.verify.evaluate.figures import caption
from pipeline.verify.evaluate.tables import confusions
from runtime import Classifier

RANDOM = np.random.default_rng(0)


def sampled(temperature, count=20_000, class_count=5):
    """Logits, and labels drawn from their probabilities at a temperature."""
    logits = RANDOM.normal(0, 3, (count, class_count))
    noise = RANDOM.gumbel(size=logits.shape)
    return logits.astype(np.float32), (logits / temperature + noise).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(temperature):
    logits, labels = sampled(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_temperature_of_log_probabilities_is_that_of_logits():
    logits, labels = sampled(1.7)
    assert fit_temperature(np.log(softmax(logits)), labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-3)


def test_a_faultless_classifier_keeps_a_finite_temperature():
    labels = np.arange(5).repeat(10)
    assert 0.05 <= fit_temperature(np.eye(5)[labels] * 10, labels) < 1


def test_likelihood_loss_of_even_odds_is_that_of_a_coin():
    assert negative_log_likelihood(np.zeros((4, 2)), np.array([0, 1, 1, 0])) == pytest.approx(np.log(2))


@pytest.mark.parametrize(("label", "probability"), [(0, 1 / 4), (1, 3 / 4)])
def test_likelihood_loss_is_the_logarithm_of_the_labels_probability(label, probability):
    loss = negative_log_likelihood(np.log([[1.0, 3.0]]), np.array([label]))
    assert loss == pytest.approx(-np.log(probability))


def test_calibration_error_counts_the_distance_to_the_truth():
    sure = np.tile([0.9, 0.1], (100, 1))
    labels = np.array([0] * 60 + [1] * 40)
    judged = reliability(sure, labels, bins=10)
    assert judged.expected_error == pytest.approx(0.3)
    assert judged.counts == (0,) * 8 + (100, 0)
    assert reliability(sure, np.array([0] * 90 + [1] * 10)).expected_error == pytest.approx(0)


def test_calibration_error_weighs_bins_by_their_images():
    probabilities = np.array([[0.95, 0.05]] * 3 + [[0.55, 0.45]])
    assert reliability(probabilities, np.array([0, 0, 0, 1])).expected_error == pytest.approx((3 * 0.05 + 0.55) / 4)


@pytest.mark.parametrize(
    ("count", "step", "said"),
    [
        (20, 1, ": percent of each class (·: less than 1)"),
        (21, 1, " of 21 classes: the darker, the larger the share of the row"),
        (120, 2, " of 120 classes: the darker, the larger the share of the row; one in 2 is named"),
    ],
)
def test_the_caption_of_a_confusion_matrix_says_how_to_read_it(count, step, said):
    assert caption(count, step) == f"Confusion{said}"


def test_confusion_has_true_classes_in_rows():
    confusion = confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert confusions(confusion, ("a", "b", "c")) == [(1, 0.5, "a", "b"), (1, 0.5, "b", "c")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, reference):
    """A model of an epoch, with the images that it was validated on."""
    folder = tmp_path_factory.mktemp("trained")
    training, validation = split(samples.read_calibration(reference), 200)
    train(training, validation, folder, Settings(epochs=2, batch_size=32))
    return folder, validation


@pytest.mark.slow
def test_few_images_or_errors_fit_no_temperature(trained):
    folder, validation = trained
    deployable = load(Source(folder / artifacts.MODEL_KERAS, temperature=1.0))
    right = np.flatnonzero(deployable.probabilities(validation.pixels).argmax(axis=1) == validation.labels)
    for images, fitted in (
        (validation, True),
        (validation.take(np.arange(199)), False),
        (validation.take(np.resize(right, 400)), False),
    ):
        assert (temperature_of(deployable.logits(images.pixels), images.labels) != 1) == fitted


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_part_that_is_asked_for_is_judged(part, monkeypatch, reference, tmp_path, capsys):
    judged = []
    sets = {"validation": samples.read_validation(reference), "test": samples.read_test(reference)}
    sets = {name: images.take(np.arange(20)) for name, images in sets.items()}
    monkeypatch.setattr(samples, "validation_images", lambda _: sets["validation"])
    monkeypatch.setattr(parity, "test_images", lambda _: sets["test"])
    monkeypatch.setattr(evaluation, "evaluate", lambda _model, _validation, images, *_: judged.append(images))
    monkeypatch.setattr(evaluation, "format_evaluation", lambda _: "a table")
    model = str(reference / artifacts.MODEL_KERAS)
    assert cli.main(["evaluate", model, "--on", part, "--out", str(tmp_path), "--as-asked"]) == 0
    assert [images.digest for images in judged] == [sets[part].digest]
    assert f"on 20 {part} images" in capsys.readouterr().out


@pytest.mark.slow
def test_report_adds_up(trained, tmp_path, reference):
    folder, validation = trained
    deployable = load(Source(folder / artifacts.MODEL_KERAS))
    test = samples.read_test(reference)
    report = evaluate(deployable, validation, test, tmp_path)
    assert Evaluation.read(tmp_path) == report
    predicted = deployable.probabilities(test.pixels).argmax(axis=1)
    assert report.accuracy == pytest.approx(np.mean(predicted == test.labels))
    assert np.sum(report.confusion) == len(test) == report.images
    cats = report.classes["cat"]
    assert cats.recall == pytest.approx(np.mean(predicted[test.labels == 3] == 3))
    assert sum(report.calibration.before.counts) == len(test)
    assert report.calibration.temperature == pytest.approx(
        temperature_of(deployable.logits(validation.pixels), validation.labels)
    )
    recall, precision = f"{cats.recall:.0%}", f"{cats.precision:.0%}"  # of about a hundred images
    assert recall != precision
    assert re.search(rf"^cat +{cats.images} +{recall} +{precision}$", format_evaluation(report), re.MULTILINE)
    for name in (artifacts.CONFUSION_FIGURE, artifacts.CALIBRATION_FIGURE):
        with Image.open(tmp_path / name) as figure:
            assert min(figure.size) > 600


@pytest.mark.slow
def test_wrong_photos_are_named_the_surest_first(trained, tmp_path):
    folder, validation = trained
    deployable = load(Source(folder / artifacts.MODEL_KERAS, temperature=1.0))
    paths = tuple(f"photo{number}.jpg" for number in range(len(validation)))
    photos = Dataset(validation.pixels, validation.labels, validation.class_names, paths)
    report = evaluate(deployable, photos, photos, tmp_path)
    assert len(report.wrong) == len(photos) - round(report.accuracy * len(photos))
    assert [row.probability for row in report.wrong] == sorted((row.probability for row in report.wrong), reverse=True)
    first = report.wrong[0]
    at = paths.index(first.path)
    assert first.shows == photos.class_names[photos.labels[at]] != first.taken_for
    assert f"{first.path}: shows {first.shows}, taken for {first.taken_for}" in format_evaluation(report)
    assert evaluate(deployable, validation, validation, tmp_path).wrong == ()


@pytest.mark.slow
def test_without_a_temperature_nothing_is_shown_twice(trained, tmp_path, reference):
    folder, validation = trained
    deployable = load(Source(folder / artifacts.MODEL_KERAS))
    text = format_evaluation(
        evaluate(deployable, validation.take(np.arange(50)), samples.read_test(reference), tmp_path)
    )
    assert "no temperature: too few validation images" in text
    assert "tempered" not in text
    with Image.open(tmp_path / artifacts.CALIBRATION_FIGURE) as figure:
        assert figure.width < figure.height


@pytest.mark.slow
def test_images_of_other_classes_are_refused(trained, tmp_path):
    folder, validation = trained
    other = Dataset(validation.pixels, validation.labels, tuple("abcdefghij"))
    with pytest.raises(PipelineError, match="pass --data"):
        evaluate(load(Source(folder / artifacts.MODEL_KERAS)), validation, other, tmp_path)


@pytest.mark.slow
def test_the_temperature_of_training_is_in_the_exported_graph(trained, tmp_path, reference):
    folder, validation = trained
    path = folder / artifacts.MODEL_KERAS
    temperature = History.read(folder).temperature
    untempered = Deployable(keras.models.load_model(path), validation.class_names)
    logits = untempered.logits(validation.pixels)
    assert temperature == pytest.approx(fit_temperature(logits, validation.labels), rel=1e-3)
    assert abs(temperature - 1) > 0.02  # else the rest would show nothing
    settings = ExportSettings(quick=True, files=(artifacts.FP32_ONNX,))
    export(Source(path), tmp_path, samples.read_calibration(reference), settings=settings)
    classifier = Classifier(tmp_path / artifacts.FP32_ONNX)
    assert classifier.spec.temperature == temperature
    assert np.abs(classifier.predict(validation.pixels) - softmax(logits / temperature)).max() <= 1e-5


@pytest.mark.slow
def test_an_exported_model_reads_photos_as_its_training_did(trained, tmp_path, reference):
    folder, validation = trained
    photos = PhotoSettings(resize="pad", resize_filter="lanczos", fill=(1, 2, 3))
    for name in (artifacts.MODEL_KERAS, artifacts.HISTORY):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    history = artifacts.read_json(tmp_path / artifacts.HISTORY)
    artifacts.write_json(tmp_path / artifacts.HISTORY, {**history, "photos": asdict(photos)})
    settings = ExportSettings(quick=True, files=(artifacts.INT8_TFLITE,))
    source = Source(tmp_path / artifacts.MODEL_KERAS)
    export(source, tmp_path / "build", samples.read_calibration(reference), settings=settings)
    spec = Classifier(tmp_path / "build" / artifacts.INT8_TFLITE).spec
    assert (spec.resize, spec.resize_filter, spec.fill) == ("pad", "lanczos", (1, 2, 3))
    assert spec.class_names == validation.class_names
