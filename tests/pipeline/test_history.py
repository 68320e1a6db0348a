"""A history.json or manifest.json is used only for the model whose SHA-256 it contains; commands say what they use."""

import json
from dataclasses import asdict

import keras
import pytest
from keras import layers

import measured_folder
from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data.photo_settings import Settings, recorded, spec_beside, was_recorded
from pipeline.errors import ExportError, PipelineError
from pipeline.export.load.model import Source, load, load_exported

NAMES = ["ant", "bee", "cat"]
ENTRIES = {"class_names": NAMES, "temperature": 1.5, "photos": asdict(Settings(side=16, resize="pad"))}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(3)]).save(path)
    return path.read_bytes()


@pytest.fixture
def model(content, tmp_path):
    (tmp_path / "model.keras").write_bytes(content)
    return tmp_path / "model.keras"


def write_history(model, entries):
    artifacts.write_json(model.with_name(artifacts.HISTORY), entries)


def test_its_own_history_is_taken_and_said_in_one_line(model, content, capsys):
    write_history(model, {"model_sha256": sha256(content), **ENTRIES})
    deployable = load(Source(model))
    assert deployable.class_names == tuple(NAMES)
    assert deployable.temperature == 1.5
    assert was_recorded(model)
    assert recorded(model).resize == "pad"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"From {model.with_name('history.json')}: class names, temperature 1.5, resize (pad, bilinear)"


def test_what_the_caller_says_himself_is_not_taken(model, content, capsys):
    write_history(model, {"model_sha256": sha256(content), **ENTRIES})
    load(Source(model, ("x", "y", "z"), temperature=1.0))
    taken, other = capsys.readouterr().err.splitlines()
    assert taken.endswith("history.json: resize (pad, bilinear)")
    assert other.endswith(f"with other class names: output 0 was {NAMES[0]}, and is x as asked")


FOREIGN = {
    "of another model": json.dumps({"model_sha256": "0" * 64, **ENTRIES}),
    "of no model": json.dumps(ENTRIES),
    "of another tool": '{"loss": [0.3, 0.2], "accuracy": [0.8, 0.9]}',
    "no object": "[1, 2]",
    "no JSON": "epoch,loss\n",
    "deep": "[" * 100_000,
    "not UTF-8": "\xff",
    "a number for a digest": json.dumps({"model_sha256": 5, **ENTRIES}),
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_a_history_of_another_model_is_ignored(model, text, capsys):
    model.with_name(artifacts.HISTORY).write_text(text, encoding="latin-1")
    deployable = load(Source(model, tuple(NAMES)))
    assert deployable.temperature == 1
    assert not was_recorded(model)
    assert spec_beside(model, 16, tuple(NAMES)).resize == "stretch"
    (line,) = capsys.readouterr().err.splitlines()
    assert "history.json: not used" in line
    with pytest.raises(ExportError, match=r"no class names.*give --classes FILE"):
        load(Source(model))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("temperature", "warm"),
        ("temperature", -1),
        ("temperature", None),
        ("class_names", 5),
        ("class_names", ["ant", 2, "cat"]),
        ("photos", 5),
        ("photos", {"side": "large"}),
    ],
)
def test_a_history_that_names_the_model_and_cannot_be_understood_is_an_error(model, content, entry, value):
    write_history(model, {"model_sha256": sha256(content), **ENTRIES, entry: value})
    with pytest.raises(PipelineError, match=rf"history\.json: (its '{entry}|{entry} )"):
        spec_beside(model, load(Source(model)).side, tuple(NAMES))


@pytest.mark.parametrize(
    "listed", [{}, {"model.keras": {"bytes": 1, "sha256": "0" * 64}}], ids=["not listed", "another"]
)
def test_a_manifest_that_does_not_name_the_model_is_not_its_manifest(model, listed):
    manifest = {**measured_folder.manifest(), "files": listed, "class_names": NAMES, "temperature": 2.0}
    artifacts.write_json(model.with_name(artifacts.MANIFEST), manifest)
    with pytest.raises(ExportError, match=r"manifest\.json .*export again"):
        load_exported(model.parent)
