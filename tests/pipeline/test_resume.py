import shutil
import signal
import time

import numpy as np
import pytest

import training_run
from pipeline import artifacts
from pipeline.data import samples
from pipeline.data.dataset import split
from pipeline.errors import PipelineError
from pipeline.training import RunOptions, Settings, train

SETTINGS = {"epochs": 7, "batch_size": 50, "ema_decay": 0.9, "cutmix": 0.3}
PATIENCE_SECONDS = 600  # on a machine busy with other work


@pytest.fixture(scope="module")
def sets(reference):
    return split(samples.read_calibration(reference), 100)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run that was killed (SIGKILL) after some epochs; copy it before use."""
    folder, log = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("log") / "log"
    log.touch()
    process = training_run.start(training_run.train_here, log, folder, SETTINGS)
    started = time.monotonic()
    while "\nepoch 3/" not in log.read_text():
        assert process.is_alive(), log.read_text()
        assert time.monotonic() - started < PATIENCE_SECONDS
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return folder


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_result(sets, killed, tmp_path):
    whole = train(*sets, tmp_path / "whole", Settings(**SETTINGS))
    shutil.copytree(killed, tmp_path / "killed")
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        artifacts.TRAINING_LOCK,
        artifacts.HISTORY_CSV,
        artifacts.PROGRESS,
    ]
    resumed = train(*sets, tmp_path / "killed", Settings(**SETTINGS))
    assert len(resumed.epochs) == SETTINGS["epochs"]
    assert resumed.best_epoch == whole.best_epoch
    for name in ("loss", "val_loss", "val_accuracy", "learning_rate"):
        values = [[getattr(record, name) for record in history.epochs] for history in (whole, resumed)]
        assert np.abs(np.subtract(*values)).max() <= 1e-6, name
    first, second = ((tmp_path / name / artifacts.MODEL_KERAS).read_bytes() for name in ("whole", "killed"))
    assert len(first) == len(second)
    for name in (artifacts.PROGRESS, artifacts.TRAINING_LOCK):
        assert not (tmp_path / "killed" / name).exists()


@pytest.mark.slow
def test_other_settings_or_data_do_not_take_up_an_unfinished_run(sets, killed, tmp_path):
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    training, validation = sets
    with pytest.raises(PipelineError, match=r"epochs was 7, is now 8\. .*--restart"):
        train(training, validation, tmp_path, Settings(**{**SETTINGS, "epochs": 8}))
    with pytest.raises(PipelineError, match=r"training images was .* is now .*--restart"):
        train(training.take(np.arange(399)), validation, tmp_path, Settings(**SETTINGS))
    fresh = train(training, validation, tmp_path, Settings(2, batch_size=50), RunOptions(restart=True))
    assert [record.epoch for record in fresh.epochs] == [1, 2]


def test_damaged_unfinished_run_is_an_error_with_a_remedy(sets, tmp_path):
    (tmp_path / artifacts.PROGRESS).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(PipelineError, match=r"cannot be read .*--restart"):
        train(*sets, tmp_path, Settings(**SETTINGS))
