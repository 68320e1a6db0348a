import json
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest

import training_run
from pipeline import artifacts
from pipeline.data import samples
from pipeline.data.dataset import split
from pipeline.documents.history import History
from pipeline.errors import PipelineError
from pipeline.training import RunOptions, Settings, distribution, train

SETTINGS = {"epochs": 6, "batch_size": 50, "dropout": 0.0, "ema_decay": 0.9}
PATIENCE_SECONDS = 600  # on a machine busy with other work


@pytest.fixture(scope="module")
def sets(reference):
    return split(samples.read_calibration(reference), 100)


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def start_workers(folder, log):
    """Two workers on loopback, each a process with its own TF_CONFIG and log."""
    addresses = free_addresses(2)
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": "-1"}
        place = log / f"worker{index}.log"
        place.unlink(missing_ok=True)
        run = (folder, SETTINGS, distribution.MULTIWORKER)
        workers.append(training_run.start(training_run.train_here, place, *run, **environment))
    return workers


def wait_for(condition, workers, log):
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > PATIENCE_SECONDS or any(worker.exitcode for worker in workers):
            texts = [(log / f"worker{index}.log").read_text(errors="replace")[-2000:] for index in range(2)]
            pytest.fail("\n".join(texts))
        time.sleep(0.02)


@pytest.mark.slow
def test_two_workers_survive_the_loss_of_one(sets, tmp_path):
    folder = tmp_path / "out"
    workers = start_workers(folder, tmp_path)
    try:
        wait_for((folder / artifacts.PROGRESS).exists, workers, tmp_path)
        workers[1].kill()
        workers[0].join(PATIENCE_SECONDS)
        assert workers[0].exitcode not in (None, 0)
        assert "another worker was lost" in (tmp_path / "worker0.log").read_text(errors="replace")
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    kept = len((folder / artifacts.HISTORY_CSV).read_text().splitlines()) - 1
    assert 1 <= kept < SETTINGS["epochs"]

    workers = start_workers(folder, tmp_path)
    try:
        wait_for(lambda: all(worker.exitcode == 0 for worker in workers), workers, tmp_path)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    history = History.read(folder)
    assert [record.epoch for record in history.epochs] == list(range(1, 7))
    assert {path.name for path in folder.iterdir()} == {
        artifacts.MODEL_KERAS,
        artifacts.HISTORY,
        artifacts.HISTORY_CSV,
        artifacts.CURVES,
    }
    alone = train(*sets, tmp_path / "alone", Settings(**SETTINGS))
    assert history.validation_accuracy == pytest.approx(alone.validation_accuracy, abs=0.06)
    losses = [np.asarray([record.loss for record in run.epochs]) for run in (history, alone)]
    assert np.abs(losses[0] - losses[1]).max() < 0.15


@pytest.mark.slow
def test_mirrored_on_two_devices_learns_as_on_one(sets, tmp_path):
    settings = {**SETTINGS, "epochs": 3}
    run = (tmp_path / "two", settings, distribution.MIRRORED)
    worker = training_run.start(training_run.train_here, tmp_path / "log", *run, CUDA_VISIBLE_DEVICES="-1")
    worker.join(PATIENCE_SECONDS)
    assert worker.exitcode == 0, (tmp_path / "log").read_text(errors="replace")
    two = History.read(tmp_path / "two").epochs
    one = train(*sets, tmp_path / "one", Settings(**settings), RunOptions(distribute=distribution.MIRRORED)).epochs
    # Batch normalization sees half a batch a device, so the runs differ a little.
    assert max(abs(first.loss - second.loss) for first, second in zip(one, two, strict=True)) < 0.15


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_an_invalid_cluster_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(PipelineError, match="TF_CONFIG must name the workers"):
        distribution.strategy(distribution.MULTIWORKER)


@pytest.mark.parametrize(
    ("resolver", "writes"),
    [
        (None, True),
        (SimpleNamespace(task_type="", task_id=5), True),
        (SimpleNamespace(task_type="worker", task_id=0), True),
        (SimpleNamespace(task_type="worker", task_id=1), False),
    ],
)
def test_one_process_alone_writes_files(resolver, writes):
    assert distribution.is_chief(SimpleNamespace(cluster_resolver=resolver)) is writes
