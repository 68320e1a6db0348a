"""A model's own code runs only if the user names its file."""

import argparse
import contextlib

import keras
import numpy as np
import pytest

from pipeline import cli
from pipeline.errors import ExportError
from pipeline.export.load.model import Source, load
from pipeline.export.load.trusted_code import trust_code

LAYERS = """
import keras

class Shift(keras.layers.Layer):
    def __init__(self, by=1.0, **options):
        super().__init__(**options)
        self.by = by

    def call(self, image):
        return image + self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}
"""
SAVING = """
keras.Sequential([keras.Input((16, 16, 3)), Shift(0.5), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D(),
                  keras.layers.Dense(3)]).save("model.keras")
"""


@pytest.fixture(autouse=True)
def _nothing_stays_registered():
    before = dict(keras.saving.get_custom_objects())
    yield
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with custom layers of another program, and the file that defines them."""
    place = tmp_path_factory.mktemp("trusted")
    (place / "layers.py").write_text(LAYERS)
    with contextlib.chdir(place):
        exec(LAYERS + SAVING, {"__name__": "__main__"})  # noqa: S102 - our own
    return place


def test_a_named_file_brings_its_layers(folder):
    source = Source(folder / "model.keras", ("a", "b", "c"))
    with pytest.raises(ExportError, match=r"custom layer Shift .* --trust-code FILE\.py$"):
        load(source)
    assert trust_code(folder / "layers.py") == ("Shift",)
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    deployable = load(source)
    assert deployable.model.layers[0].by == 0.5
    traced = np.asarray(deployable.trace(deployable.network_scaling(pixels)))
    assert np.abs(traced - deployable.probabilities(pixels)).max() <= 1e-6


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1 / 0", "raises ZeroDivisionError when it is imported"),
        ("import os", "defines no class and no function"),
        (None, "expected a Python file"),
    ],
)
def test_a_file_that_brings_nothing_is_named(tmp_path, content, says):
    if content is not None:
        (tmp_path / "own.py").write_text(content)
    with pytest.raises(ExportError, match=says):
        trust_code(tmp_path / "own.py")


def test_the_command_line_runs_the_file_before_the_command(folder, monkeypatch, capsys):
    seen = []

    def run(_):
        seen.append(keras.saving.get_registered_object("Shift"))
        return 0

    parsed = argparse.Namespace(run=run, tensorflow=False, trust_code=folder / "layers.py")
    monkeypatch.setattr(cli, "in_our_command_line", lambda: None)
    assert cli.run(lambda: parsed) == 0
    assert seen[0] is not None
    assert "layers.py: run, as asked; it defines Shift" in capsys.readouterr().err


def test_all_commands_that_read_a_keras_model_take_it():
    for given in (
        ["export", "--model", "m", "--out", "o"],
        ["evaluate", "m", "--out", "o"],
        ["explain", "m", "p", "--out", "o"],
        ["verify", "d"],
        ["drift", "d"],
    ):
        assert cli.parse([*given, "--trust-code", "own.py"]).trust_code.name == "own.py"
