"""Files that are not image classifiers are refused in one line, and none of their code runs."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_outputs import keras_outputs
from pipeline.artifacts import sha256, write_json
from pipeline.data.class_list import read_class_list
from pipeline.errors import ExportError
from pipeline.export.load.model import Source, keras_bytes, load, load_model
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling


def classifier(shape=(16, 16, 3), classes=3):
    return keras.Sequential([keras.Input(shape), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(classes)])


def saved(model, folder, name="model.keras"):
    model.save(folder / name)
    return folder / name


def refusal(path):
    with pytest.raises(ExportError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_both_formats_load_and_answer_as_before(tmp_path, name):
    model = classifier()
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    path = saved(model, tmp_path, name)
    assert (keras_outputs(load_model(path), images) == keras_outputs(model, images)).all()
    modern = tmp_path / "copy.keras"
    modern.write_bytes(keras_bytes(path, load_model(path)))
    assert (keras_outputs(load_model(modern), images) == keras_outputs(model, images)).all()


def two_inputs():
    first, second = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    return keras.Model([first, second], layers.Dense(3)(layers.Flatten()(layers.Add()([first, second]))))


def two_outputs():
    image = keras.Input((16, 16, 3))
    flat = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(3)(flat), layers.Dense(3)(flat)])


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (two_inputs, "expected one input, an image; the model has 2"),
        (two_outputs, "; say which names the class: --output NAME"),
        (lambda: classifier((16, 16, 4)), "expected RGB images (None, S, S, 3) or gray ones"),
        (lambda: keras.Sequential([keras.Input((99,)), layers.Dense(3)]), "begins with keras.Input((S, S, 3))"),
        (lambda: classifier((3, 16, 16)), "save keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Permute("),
        (lambda: classifier((16, 2000, 3)), "not of 2000"),
        (
            lambda: keras.Sequential(
                [keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
            ),
            "images of any size (None, None, None, 3); say which: --height PIXELS --width PIXELS",
        ),
        (lambda: classifier((7, 7, 3)), "8 to 1024 pixels a side are exported, not of 7"),
        (
            lambda: keras.Sequential([keras.Input((1025, 1025, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)]),
            "not of 1025",
        ),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3)]), "end it in keras.layers.Global"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "begin it with keras.Input"),
    ],
    ids=[
        "inputs",
        "outputs",
        "four channels",
        "vector",
        "channels first",
        "oblong",
        "any side",
        "small",
        "large",
        "map",
        "unbuilt",
    ],
)
def test_other_shapes_are_refused(tmp_path, build, reason):
    assert reason in refusal(saved(build(), tmp_path))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_lambda_layers_are_refused_unrun(tmp_path, name):
    mark = tmp_path / "ran"
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Lambda(lambda image, mark=str(mark): (open(mark, "w").close(), image)[1], name="trap"),  # noqa: PTH123
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    path = saved(model, tmp_path, name)
    mark.unlink(missing_ok=True)
    assert "has a Lambda layer (trap)" in refusal(path)
    assert not mark.exists()


def test_a_lambda_inside_a_nested_model_is_seen(tmp_path):
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Lambda(lambda image: image, name="deep")])
    model = keras.Sequential([keras.Input((16, 16, 3)), inner, layers.Flatten(), layers.Dense(3)])
    assert "has a Lambda layer (deep)" in refusal(saved(model, tmp_path))


def test_custom_layers_are_refused_and_their_modules_not_imported(tmp_path):
    """The class is registered nowhere and belongs to a main module, as in another program."""
    program = (
        "import keras\n"
        "class Shift(keras.layers.Layer):\n"
        "    def call(self, image): return image + 1\n"
        "keras.Sequential([keras.Input((16, 16, 3)), Shift(name='own'), keras.layers.Flatten(), keras.layers.Dense(3)])"
        f".save({str(tmp_path / 'model.keras')!r})"
    )
    exec(program, {"__name__": "__main__"})  # noqa: S102 - our own
    assert "has a custom layer Shift (own) that is not registered" in refusal(tmp_path / "model.keras")


def test_a_module_that_a_file_names_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = saved(classifier(), tmp_path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    config["config"]["layers"][1].update(module="trap", class_name="Conv2D", registered_name="Conv2D")
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert "custom layer Conv2D" in refusal(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    model = classifier()
    model.layers[0].set_weights([np.full((3, 3, 3, 4), np.nan), np.zeros(4)])
    assert "are not all finite" in refusal(saved(model, tmp_path))


def test_a_cut_off_file_is_refused(tmp_path):
    path = saved(classifier(), tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "not a" in refusal(path)


def bomb(name, content):
    """A function that writes a ``.keras`` file whose member ``name`` unpacks to ``content``."""

    def write(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b"{}")
            archive.writestr(name, content)

    return write


def lying(name, content):
    """The same, with a header that says ten bytes."""

    def write(path):
        bomb(name, content)(path)
        changed = bytearray(path.read_bytes())
        for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
            start = changed.rindex(signature) + place
            changed[start : start + 4] = (10).to_bytes(4, "little")
        path.write_bytes(changed)

    return write


def nested(depth):
    return b'{"config": ' * depth + b'{"class_name": "Lambda"}' + b"}" * depth


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (bomb("other", bytes(100_000_000)), "unpacks to more than 50 times"),
        (lying("model.weights.h5", bytes(100_000_000)), "Bad CRC-32"),
        (bomb("config.json", b"[" + b"{}," * 2_000_000 + b"{}]"), "more than 1,000,000 values"),
        (bomb("config.json", np.random.default_rng(0).bytes(17_000_000)), "more than 16,777,216 bytes"),
        (bomb("config.json", nested(100_000)), "nested too deeply"),
        (bomb("config.json", nested(300)), "nested deeper than 100"),
        (bomb("config.json", b'"\xff"'), "utf-8"),
        (bomb("config.json", b'{"class_name": "Dense", "module": ["keras"]}'), "custom layer Dense"),
        (bomb("config.json", b'{"class_name": "Dense", "registered_name": ["Dense"]}'), "custom layer Dense"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_asks_for_more_than_it_holds_is_refused(tmp_path, write, why):
    write(tmp_path / "model.keras")
    assert why in refusal(tmp_path / "model.keras")


def test_a_member_beyond_number_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}", b"")
    assert "more than 1000 members" in refusal(tmp_path / "model.keras")


@pytest.mark.parametrize("value", ["[" * 100_000, 5, np.zeros(3), "{"])
def test_an_hdf5_file_without_a_sound_description_is_refused(tmp_path, value):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = value
    assert "not a whole Keras model" in refusal(tmp_path / "model.h5")


def test_class_names_come_from_a_list_or_from_training(tmp_path):
    path = saved(classifier(), tmp_path)
    listed = tmp_path / "classes.txt"
    listed.write_text("ant\nbee \ncat\n\n")
    assert read_class_list(listed) == ("ant", "bee", "cat")
    with pytest.raises(ExportError, match=r"model\.keras: no class names; give --classes FILE"):
        load(Source(path))
    write_json(tmp_path / "history.json", {"model_sha256": sha256(path.read_bytes()), "class_names": ["x", "y", "z"]})
    assert load(Source(path)).class_names == ("x", "y", "z")
    assert load(Source(path, ("a", "b", "c"))).class_names == ("a", "b", "c")
    with pytest.raises(ExportError, match=r"^2 class names \(a, b\) given, but .*model\.keras has 3 classes$"):
        load(Source(path, ("a", "b")))
    with pytest.raises(
        ExportError, match=r"^names\.txt: 2 class names \(a, b\), but .* has 3 classes; expected one name"
    ):
        load(Source(path, ("a", "b"), names_from=Path("names.txt")))
    write_json(tmp_path / "history.json", {"model_sha256": sha256(path.read_bytes()), "class_names": ["x", "y"]})
    with pytest.raises(ExportError, match=r"history\.json: 2 class names \(x, y\), but .* with --classes FILE$"):
        load(Source(path))


def test_a_model_that_scales_by_itself_gets_pixels_as_they_are(tmp_path):
    layered = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)])
    names = ("a", "b", "c")
    assert load(Source(saved(layered, tmp_path), names)).scaling.scale == (1, 1, 1)
    assert load(Source(saved(classifier(), tmp_path, "plain.keras"), names)).scaling == UNIT_SCALING
    given = PixelScaling.of(scale=(0.5,))
    assert load(Source(tmp_path / "model.keras", names, given)).scaling == given


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a\n\nb\n", "line 2 is empty"), ("a\nb\na\n", "names 'a' twice"), ("\xff", "no readable list of classes")],
)
def test_unusable_class_lists_are_refused(tmp_path, text, reason):
    (tmp_path / "classes.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(ExportError, match=reason):
        read_class_list(tmp_path / "classes.txt")


def test_a_class_list_that_is_not_there_is_named_once(tmp_path):
    with pytest.raises(ExportError) as caught:
        read_class_list(tmp_path / "none.txt")
    assert str(caught.value) == (
        f"{tmp_path / 'none.txt'}: no readable list of classes (No such file or directory); "
        "expected UTF-8 text, one name per line"
    )


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("labels.txt", "0 Cat\n1 Big dog\n", ("Cat", "Big dog")),
        ("labels.txt", "Cat\nBig dog\n", ("Cat", "Big dog")),
        ("labels.txt", "1 Cat\n2 Dog\n", ("1 Cat", "2 Dog")),
        ("labels.txt", "0\n1\n", ("0", "1")),
        ("names.txt", "0 Cat\n1 Dog\n", ("0 Cat", "1 Dog")),
    ],
)
def test_numbers_in_the_list_of_teachable_machine_are_no_part_of_the_names(tmp_path, name, lines, expected):
    (tmp_path / name).write_text(lines)
    assert read_class_list(tmp_path / name) == expected


def test_a_list_beside_the_model_is_named(tmp_path):
    path = saved(classifier(), tmp_path)
    (tmp_path / "labels.txt").write_text("0 a\n1 b\n2 c\n")
    with pytest.raises(ExportError, match=r"no class names; if .*labels\.txt lists them, give --classes "):
        load(Source(path))
