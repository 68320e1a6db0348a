"""The engines of ``pipeline`` take part in the benchmark."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import artifacts
from pipeline.benchmark import engines
from pipeline.benchmark.engines import BACKENDS, DeskBackend, desk_contenders
from pipeline.data import samples
from pipeline.errors import ExportError
from pipeline.export.load.model import load_exported
from pipeline.verify.parity import verify
from runtime.benchmark.photo import PARTS, write_photo
from runtime.benchmark.run import benchmark
from runtime.benchmark.workers import Worker


@pytest.mark.slow
def test_every_backend_takes_part_with_every_number_of_threads(reference, tmp_path):
    listed = desk_contenders(reference, (1, 2), tmp_path)
    sources = {"keras": reference, "keras-compiled": reference, "tensorflow": tmp_path / "tensorflow"}
    for name, source in sources.items():
        able = [contender for contender in listed if contender.backend == name]
        assert [contender.threads for contender in able] == [1, 2]
        assert all(contender.artifact == reference / "model.keras" for contender in able)
        module = "pipeline.benchmark.engines.worker"
        assert able[1].command == (sys.executable, "-m", module, name, str(source), "2")
    assert {contender.backend for contender in listed} == set(BACKENDS)


def test_one_that_is_missing_stands_there_once_with_a_remedy(reference, tmp_path, monkeypatch):
    absent = DeskBackend("Absent", "model.keras", None, lambda: "absent is not installed", "pip install absent")
    monkeypatch.setattr(engines, "find", lambda _: absent)
    monkeypatch.setattr(engines, "BACKENDS", {"absent": ""})
    (contender,) = desk_contenders(reference, (1, 2), tmp_path)
    assert contender.missing == "absent is not installed"
    assert contender.install == "pip install absent"


def test_one_that_takes_no_threads_takes_part_once(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "find", lambda _: DeskBackend("Single", "model.keras", None, one_thread=True))
    monkeypatch.setattr(engines, "BACKENDS", {"single": ""})
    assert [contender.threads for contender in desk_contenders(reference, (1, 2), tmp_path)] == [1]


def test_one_whose_file_the_export_has_not_takes_no_part(tmp_path):
    assert desk_contenders(tmp_path, (1,), tmp_path) == []


@pytest.mark.slow
def test_a_saved_model_answers_as_keras_does_and_carries_its_spec(reference, tmp_path):
    (listed,) = [each for each in desk_contenders(reference, (1,), tmp_path) if each.backend == "tensorflow"]
    assert (tmp_path / "tensorflow" / "saved_model.pb").is_file()
    pixels = samples.read_test(reference).pixels[:200]
    np.save(tmp_path / "images.npy", pixels)
    write_photo(tmp_path / "photo.jpg")
    worker = Worker(listed.command)
    answers = worker.ask("predicted_classes", path=str(tmp_path / "images.npy"))
    photo = worker.ask("photo", path=str(tmp_path / "photo.jpg"), runs=1)
    worker.close()
    assert answers == load_exported(reference).probabilities(pixels).argmax(axis=1).tolist()
    assert set(photo) == set(PARTS)


@pytest.mark.slow
def test_a_reference_that_is_not_the_exported_one_is_told_in_a_line(reference, tmp_path):
    folder = Path(shutil.copytree(reference, tmp_path / "copy"))
    with (folder / artifacts.MODEL_KERAS).open("ab") as file:
        file.write(b"\0")
    said = "model.keras: changed since export: its SHA-256 begins"
    with pytest.raises(ExportError, match=said):
        verify(folder)
    listed = desk_contenders(folder, (1,), tmp_path)
    rows = benchmark([each for each in listed if each.backend in {"keras-compiled", "tensorflow"}], 1).contenders
    assert len(rows) == 2
    for row in rows:
        assert said in row.missing.reason
        assert row.missing.failed
