"""Trainings on another machine: the packed folder, its results, and the program that runs there."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from docs.figures.accelerator import pack, unpack
from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.models import build_trainable
from pipeline.models.fold import fold
from pipeline.training.settings import Settings

RUNS = {
    "a": Settings(model="separable", epochs=2, batch_size=16, dropout=0.1, cutmix=0.4, mixup=0.3, random_erasing=0.2),
    "b": Settings(model="notes", epochs=2, batch_size=16, cutmix=0.4, mixup=0.3, random_erasing=0.2, ema_decay=0.9),
}


@pytest.fixture(scope="module")
def images():
    """Images whose class is the channel that is bright: training and validation."""
    random = np.random.default_rng(0)
    labels = np.arange(96) % 3
    pixels = random.integers(0, 90, (96, 16, 16, 3), dtype=np.uint8)
    pixels[np.arange(96), :, :, labels] += 120
    names = ("red", "green", "blue")
    return Dataset(pixels[:64], labels[:64], names), Dataset(pixels[64:], labels[64:], names)


def record(epoch):
    values = {"accuracy": 0.5, "loss": 1.0, "val_accuracy": 0.5, "val_loss": 1.0, "learning_rate": 0.001}
    return {"epoch": epoch, "seconds": 1.0, **values}


def test_what_comes_back_is_the_network_that_was_packed(images, tmp_path):
    pack(tmp_path / "packed", RUNS, images)
    job = json.loads((tmp_path / "packed/job.json").read_text())
    for run in job["runs"].values():
        run["epochs"] = [record(1), record(2)]
    (tmp_path / "packed/job.json").write_text(json.dumps(job))
    found = unpack(tmp_path / "packed", images, tmp_path / "out")
    import keras

    for name, settings in RUNS.items():
        keras.utils.set_random_seed(settings.seed)
        expected = fold(build_trainable(settings.model, 3, 16, dropout=settings.dropout))
        written = keras.models.load_model(tmp_path / "out" / name / "model.keras")
        inputs = images[1].pixels / np.float32(255)
        np.testing.assert_allclose(written.predict(inputs, verbose=0), expected.predict(inputs, verbose=0), atol=1e-6)
        assert found[name].best_epoch == 2
        assert found[name].settings == asdict(settings)


def test_runs_that_cannot_learn_side_by_side_are_refused(images, tmp_path):
    with pytest.raises(PipelineError, match="run b: batch_size must be the same"):
        pack(tmp_path, {"a": Settings(), "b": Settings(batch_size=64)}, images)
    with pytest.raises(PipelineError, match="run a: sam_rho cannot be trained there"):
        pack(tmp_path, {"a": Settings(sam_rho=0.1)}, images)
    with pytest.raises(PipelineError, match="called teacher"):
        pack(tmp_path, {"teacher": Settings()}, images)


def test_an_unfinished_run_is_refused(images, tmp_path):
    with pytest.raises(PipelineError, match=r"job\.json is missing"):
        unpack(tmp_path, images, tmp_path / "out")
    pack(tmp_path, {"a": RUNS["a"]}, images)
    job = json.loads((tmp_path / "job.json").read_text())
    job["runs"]["a"]["epochs"] = [record(1)]
    (tmp_path / "job.json").write_text(json.dumps(job))
    with pytest.raises(PipelineError, match="has 1 of 2 epochs"):
        unpack(tmp_path, images, tmp_path / "out")


@pytest.mark.parametrize("model", ["notes", "resnet8", "vgg8", "separable"])
@pytest.mark.parametrize("reparam", [False, True])
def test_the_program_computes_what_keras_computes(model, reparam, images):
    torch = pytest.importorskip("torch")
    from docs.figures.accelerator.network import layers_of, weights_of
    from docs.figures.accelerator.program.network import Network

    keras_model = build_trainable(model, 3, 16, reparam=reparam)
    random = np.random.default_rng(0)
    keras_model.set_weights([weight + random.uniform(0, 0.1, weight.shape) for weight in keras_model.get_weights()])
    network = Network(layers_of(keras_model), weights_of(keras_model)).eval()
    pixels = images[1].pixels
    with torch.inference_mode():
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()
    expected = keras_model.predict(pixels / np.float32(255), verbose=0)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_the_program_trains_and_its_results_come_back(images, tmp_path):
    pytest.importorskip("torch")
    changed = {"epochs": 15, "learning_rate": 0.01, "teacher_weight": 0.1}
    runs = {name: Settings(**{**asdict(run), **changed}) for name, run in RUNS.items()}
    fold(build_trainable("resnet8", 3, 16)).save(tmp_path / "teacher.keras")
    pack(tmp_path / "packed", runs, images, tmp_path / "teacher.keras")
    command = [sys.executable, "-m", "program", "--out", str(tmp_path / "results")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path / "packed", env=one_thread, check=True, timeout=300)
    found = unpack(tmp_path / "results", images, tmp_path / "out")
    for history in found.values():
        assert history.validation_accuracy > 0.9
        assert history.epochs[-1].val_accuracy == pytest.approx(history.validation_accuracy, abs=0.04)
