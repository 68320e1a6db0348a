"""Files of other versions and kinds are read if possible; otherwise the error says what they are and what to do."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_outputs import keras_outputs
from pipeline.errors import ExportError
from pipeline.export.load.keras2 import as_keras3
from pipeline.export.load.model import load_model

OLD = Path(__file__).parent / "keras2"
IMAGES = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)


def refusal(path):
    with pytest.raises(ExportError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 700
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def model():
    return keras.Sequential(
        [keras.Input((16, 16, 3)), layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )


@pytest.mark.parametrize("name", ["layers", "operators", "teachable"])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_files_of_keras_2_answer_as_they_did_there(name, suffix):
    with np.load(OLD / "answers.npz") as answers:
        got = keras_outputs(load_model(OLD / f"{name}{suffix}"), IMAGES)
        assert np.abs(got - answers[name]).max() <= 1e-6


def sliced(path, *spec):
    """A copy of ``slicing.h5`` that computes ``image[spec]``."""
    shutil.copyfile(OLD / "slicing.h5", path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (node,) = config["config"]["layers"][1]["inbound_nodes"]
        node[3]["slice_spec"] = list(spec)
        file.attrs["model_config"] = json.dumps(config)
    return path


def part(start=None, stop=None, step=None):
    return {"start": start, "stop": stop, "step": step}


ELLIPSIS = {"class_name": "__ellipsis__"}


def test_channels_reversed_by_slicing_are_read():
    with np.load(OLD / "answers.npz") as answers:
        got = keras_outputs(load_model(OLD / "slicing.h5"), IMAGES)
        assert got == pytest.approx(answers["slicing"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "index"),
    [
        ([part(), part(), part(), part(step=-1)], np.s_[..., ::-1]),
        ([part(), part(step=-1)], np.s_[:, ::-1]),
        ([part(), part(step=-1), part(), part(0, 3)], np.s_[:, ::-1, :, 0:3]),
        ([ELLIPSIS, part(step=-1), part()], np.s_[:, :, ::-1]),
    ],
)
def test_a_plain_slice_is_that_of_numpy(tmp_path, spec, index):
    plain = keras_outputs(load_model(sliced(tmp_path / "plain.h5", ELLIPSIS)), IMAGES[index])
    got = keras_outputs(load_model(sliced(tmp_path / "sliced.h5", *spec)), IMAGES)
    assert np.abs(got - plain).max() <= 1e-6


@pytest.mark.parametrize("spec", [[ELLIPSIS, None], [part(), 3], [part(), ["input_4", 0, 0]], [part(), part("1")]])
def test_another_index_has_no_layer_and_is_named(tmp_path, spec):
    says = refusal(sliced(tmp_path / "slicing.h5", *spec))
    assert says.startswith(
        "computes tf.__operators__.getitem, for which Keras 3 has no layer; it was written by Keras 2."
    )
    assert says.endswith("give it these weights: model.load_weights('slicing.h5'); model.save('model.keras')")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_configuration_of_keras_3_is_left_as_it_is(model):
    config = json.loads(model.to_json())
    assert as_keras3(config) == config


def rewritten(path, version=None, change=None):
    """A .keras file with another version, or another configuration."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    if version is not None:
        contents["metadata.json"] = json.dumps({"keras_version": version}).encode()
    config = json.loads(contents["config.json"])
    if change is not None:
        change(config["config"]["layers"])
        contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def with_an_option_of_another_version(entries):
    entries[1]["config"]["blur"] = 3


@pytest.mark.parametrize(
    ("version", "helps"),
    [
        ("99.1.0", "it was written by Keras 99.1.0: run .* -m pip install 'keras>=99.1.0'$"),
        ("3.0.5", r"it was written by Keras 3\.0\.5: save it again with model\.save\('model\.keras'\) in the program"),
        (
            "2.12.0",
            r"it was written by Keras 2\.12\.0: build the same network .* model\.load_weights\('model\.keras'\)",
        ),
        (7, r"\); build the same network"),
        ("3.$(rm)", r"\); build the same network"),
    ],
)
def test_what_keras_refuses_keeps_its_cause_and_names_the_version_and_what_helps(tmp_path, model, version, helps):
    model.save(tmp_path / "model.keras")
    path = rewritten(tmp_path / "model.keras", version, with_an_option_of_another_version)
    with pytest.raises(ExportError, match=helps) as caught:
        load_model(path)
    assert f"Keras {keras.__version__} cannot load it (Unrecognized keyword arguments" in str(caught.value)
    assert "{'blur': 3}" in str(caught.value)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_groups_of_a_depthwise_convolution_are_read(tmp_path, model):
    model.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["groups"] = 1
        file.attrs.update(model_config=json.dumps(config), keras_version="2.12.0")
    assert (keras_outputs(load_model(tmp_path / "old.h5"), IMAGES) == keras_outputs(model, IMAGES)).all()


BEGINNINGS = {
    "model.keras": [
        (b"", "empty; copy it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, .* git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a web page, not a model"),
        (b'{"class_name": "Sequential"}', "a JSON file, a network without weights"),
        (b"\x1c\0\0\0TFL3", "a TFLite file"),
        (b"PK\x03\x04" + bytes(26) + b"archive/data.pkl", "a PyTorch file"),
        (b"anything", "not a Keras model file; expected"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file: name it model.h5"),
    ],
    "ckpt.index": [(b"anything", "holds weights alone")],
    "model.onnx": [(b"anything", "not a Keras model file; expected")],
}
OTHERS = [(name, content, says) for name, cases in BEGINNINGS.items() for content, says in cases]


@pytest.mark.parametrize(("name", "content", "says"), OTHERS, ids=[says for _, _, says in OTHERS])
def test_other_files_are_named_as_what_they_are(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=f"{name}: {says}"):
        load_model(tmp_path / name)


def test_folders_are_named_as_what_they_are(tmp_path):
    assert refusal(tmp_path) == "a folder; expected a .keras or .h5 file"
    (tmp_path / "saved_model.pb").touch()
    assert refusal(tmp_path).startswith("a SavedModel folder without its Keras model: give the .keras or .h5 file")
    (tmp_path / "keras_metadata.pb").touch()
    assert refusal(tmp_path).startswith(
        "a SavedModel folder of Keras 2; convert it: pip install tf_keras && python -c "
    )


def test_weights_alone_are_named(tmp_path, model):
    model.save_weights(tmp_path / "model.weights.h5")
    assert refusal(tmp_path / "model.weights.h5") == (
        "holds weights alone, without the network: build the network in your program, then "
        "model.load_weights('model.weights.h5'); model.save('model.keras')"
    )
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    assert refusal(tmp_path / "model.keras").startswith("holds weights alone")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("readme.txt", "")
    assert refusal(tmp_path / "model.keras") == "no Keras model: there is no config.json in it"
    shutil.copy(tmp_path / "model.keras", tmp_path / "model.h5")
    assert refusal(tmp_path / "model.h5") == "a ZIP archive: if it is a Keras model, name it model.keras"
