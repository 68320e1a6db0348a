"""Engines of the desk take part in the benchmark."""

import sys

from pipeline import backends
from pipeline.backends import BACKENDS, DeskBackend, desk_contenders


def test_every_backend_takes_part_with_every_number_of_threads(reference):
    listed = desk_contenders(reference, (1, 2))
    for name in ("keras", "keras-compiled", "tensorflow"):
        able = [contender for contender in listed if contender.backend == name]
        assert [contender.threads for contender in able] == [1, 2]
        assert all(contender.artifact == reference / "model.keras" for contender in able)
        module = "pipeline.backends.worker"
        assert able[1].command == (sys.executable, "-m", module, name, str(reference), "2")
    assert {contender.backend for contender in listed} == set(BACKENDS)


def test_one_that_is_missing_stands_there_once_with_a_remedy(reference, monkeypatch):
    absent = DeskBackend("Absent", "model.keras", None, lambda: "absent is not installed", "pip install absent")
    monkeypatch.setattr(backends, "find", lambda _: absent)
    monkeypatch.setattr(backends, "BACKENDS", {"absent": ""})
    (contender,) = desk_contenders(reference, (1, 2))
    assert contender.missing == "absent is not installed"
    assert contender.install == "pip install absent"


def test_one_that_takes_no_threads_takes_part_once(reference, monkeypatch):
    monkeypatch.setattr(backends, "find", lambda _: DeskBackend("Single", "model.keras", None, one_thread=True))
    monkeypatch.setattr(backends, "BACKENDS", {"single": ""})
    assert [contender.threads for contender in desk_contenders(reference, (1, 2))] == [1]


def test_one_whose_file_the_export_has_not_takes_no_part(tmp_path):
    assert desk_contenders(tmp_path, (1,)) == []
