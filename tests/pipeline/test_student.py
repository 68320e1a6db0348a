"""A small network that is trained with the network fitted to photos as its teacher."""

import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts
from pipeline.cli import main
from pipeline.documents.history import History
from pipeline.metrics.calibration import softmax
from pipeline.training.settings import Settings
from pipeline.training.transfer import views
from pipeline.training.transfer.distillation_data import DistillationData, small_views
from pipeline.training.transfer.student import DistillationSettings, settings_of
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec
from small_backbone import SIDE, classifier

COLORS = {"sky": (60, 120, 220), "leaf": (40, 160, 60), "brick": (190, 70, 50)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    """Twelve photos a class; a class is a color."""
    folder, random = tmp_path / "photos", np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for number in range(12):
            noise = random.normal(0, 30, (4, 4, 3)).repeat(10, 0).repeat(10, 1)
            Image.fromarray(np.clip(color + noise, 0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def command(photos, tmp_path):
    classifier().save(tmp_path / "mine.keras")
    return ["train", "--data", str(photos), "--backbone", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out")]


def squares(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


@pytest.mark.slow
def test_a_student_is_a_small_network_of_the_same_photos(command, photos, tmp_path, capsys):
    shutil.copytree(photos / "leaf", tmp_path / "extra")
    asked = [*command, "--student", "notes", "--side", "16", "--views", "2", "--minutes", "0.0005"]
    assert main([*asked, "--extra", str(tmp_path / "extra")]) == 0
    shown = capsys.readouterr().out
    out, teacher = tmp_path / "out", History.read(tmp_path / "out" / "teacher")
    history, model = History.read(out), keras.models.load_model(out / artifacts.MODEL_KERAS)
    assert model.input_shape == (None, 16, 16, 3)
    assert teacher.out_of_fold is not None
    assert history.teacher_sha256 == teacher.model_sha256
    assert history.images.validation == teacher.images.validation == 3
    assert history.best_epoch == len(history.epochs)  # the validation photos choose nothing
    assert history.images.training == 33 + 11  # the held-out leaf is no extra photo
    small, large = history.contenders
    assert (small.model, small.side, large.model, large.side) == ("notes", 16, "mine.keras", SIDE)
    assert [row.images for row in (small, large)] == [3, 3]
    assert large.accuracy == teacher.validation_accuracy
    assert small.accuracy == history.validation_accuracy
    assert f"{small.accuracy:.1%} of 3 (" in shown
    assert main(["evaluate", str(out / "model.keras"), "--on", "validation"]) == 0
    assert f"{3 * small.accuracy:.0f} of 3  95 % interval" in capsys.readouterr().out
    taught = (out / "teacher" / artifacts.MODEL_KERAS).read_bytes()
    assert main([*asked, "--extra", str(tmp_path / "extra")]) == 0
    assert (out / "teacher" / artifacts.MODEL_KERAS).read_bytes() == taught  # so that a killed student goes on
    (photos / "leaf" / "0.png").unlink()
    assert main(asked) == 0
    assert (out / "teacher" / artifacts.MODEL_KERAS).read_bytes() != taught  # other photos, another teacher


def test_a_student_hears_of_each_view_what_the_teacher_says_of_it():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 6, 3)).astype(np.float32)
    small, names = random.integers(0, 256, (2, 6, 8, 8, 3), np.uint8), ("a", "b", "c")
    taught = DistillationData(small, np.arange(6) % 3, logits, names, "")
    plain = Settings(batch_size=2, shift=0.0, flip=0.0)
    for number in range(4):
        epoch = taught.epoch(plain, number)
        np.testing.assert_array_equal(epoch.images.pixels, small[number % 2])
        np.testing.assert_allclose(softmax(epoch.taught), softmax(logits[number % 2]), rtol=1e-4)
    mixed = taught.epoch(Settings(batch_size=2, mixup=1.0), 0)
    share, partner = mixed.planned.share[:, None], mixed.planned.partner
    probabilities = softmax(logits[0])
    expected = share * probabilities + (1 - share) * probabilities[partner]
    np.testing.assert_allclose(softmax(mixed.taught), expected, rtol=1e-4)


def test_small_views_are_what_the_device_sees_and_made_once(own_cache):
    pixels, spec = squares(5), ModelSpec(16, ("a", "b"), resize="pad")
    made = small_views([pixels[:3], pixels[3:]], range(2), spec)
    assert made.shape == (2, 5, 16, 16, 3)
    np.testing.assert_array_equal(made[0, 4], load_pixels(pixels[4], spec))
    seen = views.view(pixels[1], views.key_of(pixels[1]), 1)
    np.testing.assert_array_equal(made[1, 1], load_pixels(seen, spec))
    (kept,) = (own_cache / "students").iterdir()
    before = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(small_views([pixels], range(2), spec), made)
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("model", "side", "minutes", "photos", "epochs"),
    [("notes", 16, 60, 100, 400), ("notes", 32, 60, 10_000, 40), ("vgg8", 64, 0.001, 4_000, 5)],
)
def test_minutes_and_photos_choose_the_epochs_of_a_student(model, side, minutes, photos, epochs):
    assert settings_of(DistillationSettings(model, side, minutes), photos, 5).epochs == epochs


@pytest.mark.parametrize(
    ("model", "side", "half"), [("vgg8", 64, 0.75), ("resnet8", 96, 0.75), ("vgg8", 32, 0.0), ("notes", 64, 0.0)]
)
def test_a_student_of_any_side_begins_on_half_of_it(model, side, half):
    assert settings_of(DistillationSettings(model, side, 10), 1_000, 5).half_side == half


def test_short_trainings_average_few_steps_and_mix_nothing():
    short, long = (settings_of(DistillationSettings("vgg8", 64, minutes), 4_000, 5) for minutes in (1, 200))
    assert (short.cutmix, long.cutmix) == (0.0, 0.25)
    assert 1 / (1 - short.ema_decay) == pytest.approx(0.1 * short.epochs * (4_000 // 64))
    assert 1 / (1 - long.ema_decay) == pytest.approx(500)
