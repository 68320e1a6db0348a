"""Models from elsewhere may have been trained on squares that were resized without antialiasing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from docs.figures.photos import photograph
from pipeline.cli import main, parse
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.resize_mismatch import find_resize_mismatch
from runtime import ModelSpec
from runtime.image.load import load_square
from runtime.spec import NO_ANTIALIAS

NAMES = ("even", "noisy")
SIDE, PHOTO = 16, 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Even photos and noisy ones: antialiasing takes the noise away."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(30):
        gray = random.integers(80, 170)
        noisy = random.choice(np.array([0, 255], np.uint8), (PHOTO, PHOTO, 3))
        for name, pixels in (("even", np.full((PHOTO, PHOTO, 3), gray, np.uint8)), ("noisy", noisy)):
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def seer():
    """A network that answers "noisy" where neighboring pixels differ by more than a fifth on average."""
    image = keras.Input((SIDE, SIDE, 3))
    edges = layers.Conv2D(2, (1, 2), activation="relu", name="edges")
    model = keras.Model(image, layers.Dense(2, name="classes")(layers.GlobalAveragePooling2D()(edges(image))))
    kernel = np.zeros((1, 2, 3, 2), np.float32)
    kernel[0, :, 0, 0], kernel[0, :, 0, 1] = (1, -1), (-1, 1)
    edges.set_weights([kernel, np.zeros(2, np.float32)])
    model.get_layer("classes").set_weights([np.float32([[0, 50], [0, 50]]), np.float32([10, 0])])
    return Deployable(model, NAMES)


def squares_of_keras(folder):
    images = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), shuffle=False, batch_size=None, verbose=False
    )
    return [image.numpy() for image, _ in images]


def test_the_filter_gives_the_squares_of_keras(folder):
    spec = ModelSpec(SIDE, NAMES, resize_filter=NO_ANTIALIAS)
    files = sorted(folder.rglob("*.png"))
    for file, expected in zip(files, squares_of_keras(folder), strict=True):
        assert np.abs(load_square(file, spec) - expected).max() < 1


@pytest.mark.parametrize("side", [16, 96, 224])
@pytest.mark.parametrize("size", [(640, 481), (130, 1000), (32, 20), (224, 224)])
def test_the_filter_gives_the_squares_of_tensorflow(size, side):
    pixels = photograph(*size, seed=3)
    expected = tf.image.resize(pixels, (side, side)).numpy()
    square = load_square(pixels, ModelSpec(side, NAMES, resize_filter=NO_ANTIALIAS))
    assert np.abs(square - expected).max() < 1.01  # fractions are cut off


@pytest.mark.parametrize(
    ("planned", "other"), [("bilinear", NO_ANTIALIAS), (NO_ANTIALIAS, None), ("box", NO_ANTIALIAS)]
)
def test_a_model_that_sees_better_the_other_way_is_doubted(folder, seer, planned, other):
    warning = find_resize_mismatch(seer, folder, ModelSpec(SIDE, NAMES, resize_filter=planned))
    if other is None:
        assert warning is None
    else:
        assert "of 60 photos the Keras model names 30 rightly" in warning
        assert "and 60 with bilinear-no-antialias" in warning
        assert warning.endswith(f"--filter {other}")


def test_where_neither_way_beats_chance_the_filter_is_not_blamed(folder, seer):
    swapped = Deployable(seer.model, NAMES[::-1])  # wrong of all photos one way, right of half of them the other
    assert find_resize_mismatch(swapped, folder, ModelSpec(SIDE, NAMES[::-1], resize_filter=NO_ANTIALIAS)) is None


def test_files_that_are_no_image_do_not_count(tmp_path, folder, seer):
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.jpg").write_bytes(b"no image")
    spec = ModelSpec(SIDE, NAMES)
    assert find_resize_mismatch(seer, tmp_path, spec) is None
    for number in range(30):
        (tmp_path / "noisy" / f"{number}.png").write_bytes((folder / "noisy" / f"{number}.png").read_bytes())
    assert "of 30 photos" in find_resize_mismatch(seer, tmp_path, spec)


@pytest.mark.parametrize("text", ["1/0", "a", "1/2/3", ""])
def test_a_scale_is_a_number_or_a_fraction(text, capsys):
    command = ["evaluate", "mine.keras", "--scale", "1/127.5"]
    assert parse(command).scale == [1 / 127.5]
    with pytest.raises(SystemExit):
        parse([*command[:-1], text])
    assert "expected a number such as 0.5 or 1/255" in capsys.readouterr().err


def test_the_command_line_warns_and_takes_the_filter(tmp_path, folder, seer, capsys):
    seer.model.save(tmp_path / "mine.keras")
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    command = ["evaluate", f"{tmp_path}/mine.keras", "--classes", f"{tmp_path}/names.txt", "--data", str(folder)]
    assert main([*command, "--on", "validation"]) == 0
    said = capsys.readouterr()
    assert "most likely it was trained on such squares" in said.err
    assert main([*command, "--on", "validation", "--filter", NO_ANTIALIAS]) == 0
    said = capsys.readouterr()
    assert "warning" not in said.err
    assert "100" in said.out
