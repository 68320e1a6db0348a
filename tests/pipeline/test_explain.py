import re

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.cli import main
from pipeline.errors import ExplainError
from pipeline.explain import answer, explain
from pipeline.explain.stages import stages
from pipeline.export.load.deployable import Deployable
from pipeline.models import build
from runtime.spec import NO_ANTIALIAS

TEN = tuple("abcdefghij")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def notes():
    keras.utils.set_random_seed(0)
    return Deployable(build("notes"), TEN)


def test_stages_of_the_notes_are_those_of_the_notes(notes, pixels):
    shown = stages(notes, pixels)
    assert [stage.values.shape for stage in shown] == [(16, 16, 16), (8, 8, 32), (4, 4, 64), (500,)]
    assert shown[0].shape == "16\N{MULTIPLICATION SIGN}16\N{MULTIPLICATION SIGN}16"
    assert [len(stage.steps) for stage in shown] == [2, 2, 2, 1]
    assert shown[-1].steps == ("dense",)


@pytest.mark.parametrize(("head", "said"), [("softmax", "b, 50%"), ("sigmoid", "b, 50%, a, 50%")])
def test_a_network_that_is_not_square_is_drawn_and_answers_in_words(tmp_path, head, said):
    stack = [keras.Input((24, 40, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2)]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(2, head, kernel_initializer="zeros")])
    model.layers[-1].set_weights([model.layers[-1].get_weights()[0], np.array([0, 1e-6])])
    network = Deployable(model, ("a", "b"))
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8))
    probabilities = explain(network, picture, tmp_path / "oblong.png").probabilities
    with Image.open(tmp_path / "oblong.png") as drawn:
        assert drawn.size == (1920, 1080)
    assert answer(network, probabilities) == said


def test_stages_hold_what_the_layers_compute(notes, pixels):
    shown = stages(notes, pixels)
    x = notes.scaling(pixels[np.newaxis])
    for layer in notes.model.layers:
        x = layer(x)
        for stage in shown:
            if stage.name == layer.name:
                assert np.abs(np.asarray(x)[0] - stage.values).max() <= 1e-5
    assert {stage.name for stage in shown} <= {layer.name for layer in notes.model.layers}


def test_a_network_without_pooling_is_shown_by_size(pixels):
    shown = stages(Deployable(build("resnet8"), TEN), pixels)
    assert [stage.values.shape for stage in shown] == [(32, 32, 16), (16, 16, 32), (8, 8, 64), (64,)]
    assert shown[0].steps[0].startswith("3 ")  # three convolutions in the stem and the first stack


def test_of_many_poolings_a_few_are_shown(pixels):
    stack = [keras.Input((32, 32, 3))]
    for _ in range(5):
        stack += [layers.Conv2D(4, 3, padding="same"), layers.MaxPooling2D(2)]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(10, activation="softmax")])
    assert [stage.values.shape[0] for stage in stages(Deployable(model, TEN), pixels)] == [16, 8, 2, 1]


def test_a_network_without_maps_is_refused(pixels):
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    with pytest.raises(ExplainError, match="no layer with feature maps"):
        stages(Deployable(model, TEN), pixels)


def test_the_picture_fills_a_slide_and_shows_the_image(notes, pixels, tmp_path):
    picture = np.full_like(pixels, (0, 200, 0))
    out = tmp_path / "new" / "explained.png"
    found = explain(notes, picture, out)
    assert np.abs(found.probabilities - notes.probabilities(picture[np.newaxis])[0]).max() <= 1e-6
    with Image.open(out) as drawn:
        assert drawn.size == (1920, 1080)
        assert drawn.convert("RGB").getpixel((150, 405)) == (0, 200, 0)


@pytest.mark.slow
def test_the_picture_depends_on_the_image(notes, pixels, tmp_path):
    for name, picture in (("a", pixels), ("b", pixels[::-1]), ("c", pixels)):
        explain(notes, np.ascontiguousarray(picture), tmp_path / f"{name}.png")
    first, other, again = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == again != other


def test_a_model_from_elsewhere_is_explained_with_a_list_of_classes(notes, pixels, tmp_path, capsys):
    model, photo, out = tmp_path / "mine.keras", tmp_path / "photo.png", tmp_path / "out.png"
    notes.model.save(model)
    Image.fromarray(pixels).save(photo)
    command = ["explain", f"{model}", f"{photo}", "--out", f"{out}"]
    assert main(command) == 2
    assert "give --classes" in capsys.readouterr().err
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"class {name}" for name in TEN), encoding="utf-8")
    assert main([*command, "--classes", f"{names}", "--filter", NO_ANTIALIAS]) == 0
    assert re.fullmatch(
        rf"{photo}: class \w [\d.]+%, class \w [\d.]+%, class \w [\d.]+%; \d+% of the heat map of class \w lies in the "
        "middle quarter of the picture",
        capsys.readouterr().out.splitlines()[0],
    )
    with Image.open(out) as drawn:
        assert drawn.size == (1920, 1080)


def test_the_heat_map_stands_beside_an_image_of_any_shape_and_network(tmp_path, capsys):
    inner = keras.Sequential([keras.Input((24, 40, 3)), layers.AveragePooling2D(8), layers.Flatten()])  # hides its maps
    network = [keras.Input((24, 40, 3)), inner, layers.Dense(3)]
    keras.Sequential(network).save(tmp_path / "mine.keras")
    (tmp_path / "names.txt").write_text("one\ntwo\nthree", encoding="utf-8")
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(photo)
    command = ["explain", f"{tmp_path / 'mine.keras'}", f"{photo}", "--out", f"{out}"]
    command += ["--classes", f"{tmp_path / 'names.txt'}"]
    assert main(command) == 2
    capsys.readouterr()
    assert main([*command, "--heat-map"]) == 0
    assert f"{photo}: " in capsys.readouterr().out
    with Image.open(out) as drawn:
        assert drawn.size == (1280, 760)
