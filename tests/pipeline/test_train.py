import csv
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts, commands
from pipeline.cli import parse
from pipeline.data import samples
from pipeline.data.dataset import split
from pipeline.documents.history import EpochRecord, History
from pipeline.errors import PipelineError
from pipeline.metrics.calibration import softmax
from pipeline.training import record
from pipeline.training.batches import plan_pass
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.record import draw_curves
from pipeline.training.run import RunOptions, Settings, accuracy, train
from pipeline.training.teacher import Teacher, pass_number

SMALL = {"epochs": 2, "batch_size": 50, "warmup_epochs": 1}


@pytest.fixture(scope="module")
def sets(reference):
    return split(samples.read_calibration(reference), 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"dropout": 1.0}, "dropout must be 0 up to but not including 1"),
        ({"cutmix": 0.6, "mixup": 0.6}, "at most 1 together with mixup"),
        ({"learning_rate": 0.0}, "learning rate must be more than 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(PipelineError, match=message):
        Settings(**options)


def test_more_than_there_is_in_a_batch_is_refused(sets, tmp_path):
    with pytest.raises(PipelineError, match="400 training images cannot fill one batch of 500"):
        train(*sets, tmp_path, Settings(batch_size=500))


def test_every_setting_is_an_option():
    options = parse(["train", "--model", "resnet8", "--learning-rate", "0.1", "--reparam", "--cutmix", "0.5"])
    assert (options.model, options.learning_rate, options.reparam, options.cutmix) == ("resnet8", 0.1, True, 0.5)
    assert options.epochs == Settings().epochs


def test_time_left_is_judged_without_the_first_epoch(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with record.bar(epochs=12, steps=1, done=8, shown=True) as bar:
        for number, seconds in ((9, 600), (10, 30), (11, 40)):
            now += seconds
            figures = dict.fromkeys(EpochRecord.model_fields, 0.5)
            bar.epoch(EpochRecord(**{**figures, "epoch": number}))
    first, *others = capsys.readouterr().err.splitlines()
    assert "left" not in first
    assert [line.partition("left ")[2] for line in others] == ["00:01:00", "00:00:35"]


def test_what_comes_next_can_be_typed_as_it_is_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    photos = parse(["train", "--data", "my photos", "--out", "out"])
    assert commands.train.next_command(photos) == (
        ".venv/bin/python -m pipeline export --model out/model.keras --out out"
    )
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert commands.train.next_command(parse(["train"])).startswith("/usr/bin/python3 -m pipeline export")


SEEDED = {**SMALL, "ema_decay": 0.9, "cutmix": 0.5}


@pytest.fixture(scope="module")
def trained(sets, tmp_path_factory):
    """The folder and the history of a run with seed 0; its curves are drawn."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "draw_curves", draw_curves)
        return folder, train(*sets, folder, Settings(**SEEDED, seed=0), RunOptions(tensorboard=True))


@pytest.mark.slow
def test_history_table_and_curves_are_left(sets, trained):
    folder, history = trained
    assert History.read(folder) == history
    assert history.model_sha256 == artifacts.sha256((folder / artifacts.MODEL_KERAS).read_bytes())
    with (folder / artifacts.HISTORY_CSV).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [record.loss for record in history.epochs]
    with Image.open(folder / artifacts.CURVES) as image:
        assert image.width > 1000
    assert list((folder / artifacts.TENSORBOARD).iterdir())
    assert not (folder / artifacts.PROGRESS).exists()
    model = keras.models.load_model(folder / artifacts.MODEL_KERAS)
    assert accuracy(model, sets[1]) == history.validation_accuracy
    assert history.validation_accuracy == history.epochs[history.best_epoch - 1].val_accuracy


@pytest.mark.slow
def test_two_runs_of_a_seed_agree_and_of_two_seeds_do_not(sets, trained, tmp_path):
    again, other = (train(*sets, tmp_path, Settings(**SEEDED, seed=seed)).epochs for seed in (0, 1))
    first = trained[1].epochs
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        values = [[getattr(record, name) for record in records] for records in (first, again)]
        assert np.abs(np.subtract(*values)).max() <= 1e-6, name
    assert first[0].loss != other[0].loss


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        {"reparam": True, "sam_rho": 0.05},
        {"cutmix": 0.3, "mixup": 0.3, "random_erasing": 0.3, "color": 0.2, "balance_classes": True},
        {"mixed_precision": True},
    ],
)
def test_each_part_of_the_recipe_learns(sets, tmp_path, recipe):
    records = train(*sets, tmp_path, Settings(8, batch_size=25, dropout=0.0, **recipe)).epochs
    assert records[-1].loss < records[0].loss - 0.1
    assert max(record.val_accuracy for record in records) > 0.15


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_no_longer_gains(sets, tmp_path):
    history = train(*sets, tmp_path, Settings(50, batch_size=50, learning_rate=1e-9, early_stopping=2))
    assert len(history.epochs) == history.best_epoch + 2 < 50


@pytest.mark.slow
def test_teacher_is_asked_once_a_pass_and_its_pupil_takes_after_it(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    teacher = artifacts.REFERENCE_DIR / artifacts.MODEL_KERAS
    recipe = {"batch_size": 25, "teacher_passes": 2, "teacher_weight": 1.0, "dropout": 0.0}
    taught = train(*sets, tmp_path / "taught", Settings(6, **recipe), RunOptions(teacher=teacher))
    kept = sorted((tmp_path / "cache" / "teacher").iterdir())
    assert len(kept) == 2
    times = [path.stat().st_mtime_ns for path in kept]
    again = train(*sets, tmp_path / "again", Settings(6, **recipe), RunOptions(teacher=teacher))
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert taught.epochs[0].loss == pytest.approx(again.epochs[0].loss, abs=1e-6)
    assert taught.epochs[-1].loss < taught.epochs[0].loss


@pytest.mark.slow
def test_teacher_without_passes_sees_plain_images_and_their_mirror_images(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    settings = Settings(teacher_passes=0, cutmix=1.0)
    teacher = Teacher(artifacts.REFERENCE_DIR / artifacts.MODEL_KERAS, sets[0], settings)
    first, later = (np.exp(teacher.outputs(number, keep=True)) for number in (0, 7))
    assert [path.name for path in (tmp_path / "teacher").iterdir()] == [f"{teacher.key}_plain.npy"]
    images = sets[0].pixels.astype(np.float32) / 255
    probabilities = (teacher.model.predict_on_batch(images) + teacher.model.predict_on_batch(images[:, :, ::-1])) / 2
    for mixed, number in ((first, 0), (later, 7)):
        planned = plan_pass(sets[0], settings, number)
        share = planned.share[:, None]
        expected = share * probabilities + (1 - share) * probabilities[planned.partner]
        np.testing.assert_allclose(mixed, expected, atol=3e-3)
    assert np.abs(first - later).max() > 0.5
    assert [pass_number(12, Settings(teacher_passes=passes), taught=True) for passes in (0, 10)] == [12, 2]


@pytest.mark.slow
def test_teacher_in_mixed_precision_says_nearly_the_same_and_is_kept_apart(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    teacher = artifacts.REFERENCE_DIR / artifacts.MODEL_KERAS
    exact, mixed = (
        softmax(Teacher(teacher, sets[0], Settings(mixed_precision=mixed)).outputs(0, keep=True))
        for mixed in (False, True)
    )
    assert len(list((tmp_path / "teacher").iterdir())) == 2
    assert 0 < np.abs(exact - mixed).mean() < 0.005


@pytest.mark.slow
def test_teacher_of_other_images_is_refused(sets, tmp_path):
    from pipeline.models import build

    build(class_count=3).save(tmp_path / "teacher.keras")
    with pytest.raises(PipelineError, match="cannot teach here"):
        train(*sets, tmp_path / "out", Settings(), RunOptions(teacher=tmp_path / "teacher.keras"))


def test_hints_come_before_a_run_that_replaces_or_hardly_learns(tmp_path):
    assert commands.train.hints(tmp_path, 5) == []
    assert "lower --batch-size" in commands.train.hints(tmp_path, 1)[0]
    (tmp_path / artifacts.MODEL_KERAS).touch()
    assert "is replaced at the end" in commands.train.hints(tmp_path, 5)[0]


@pytest.mark.parametrize(
    ("images", "kept"),
    [
        (40, 7),  # five good epochs in a row say more than a lucky one
        (5_000, 3),
    ],
)
def test_one_lucky_epoch_on_few_images_is_not_kept(images, kept):
    done = Checkpoint({}, validation_images=images)
    for epoch, share in enumerate([0.5, 0.6, 0.9, 0.6, 0.7, 0.8, 0.8, 0.8], start=1):
        figures = {**dict.fromkeys(EpochRecord.model_fields, 0.5), "epoch": epoch, "val_accuracy": share}
        done.records.append(EpochRecord(**figures))
    assert done.best_record.epoch == kept
