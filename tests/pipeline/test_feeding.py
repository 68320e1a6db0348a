"""The input contract: its options, its statement in documents, and the same preprocessing on the device."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.cli import main, parse
from pipeline.commands import source_options
from pipeline.documents.manifest import Manifest
from pipeline.export.load.model import load, load_exported
from pipeline.export.load.scaling import PRESETS, PixelScaling
from runtime import Classifier

NAMES = ("left", "right")
SIDE = 16
COMMAND = ["evaluate", "mine.keras"]


ONES = PixelScaling((1.0,) * 3, (-3.0, -2.0, -1.0), bgr=True)


def source_of(*options):
    return source_options.source(parse([*COMMAND, *options]))


@pytest.mark.parametrize(
    ("options", "scaling", "bgr"),
    [
        ([], None, None),
        (["--bgr"], None, True),
        (["--preset", "none"], PRESETS["none"], False),
        (["--preset", "caffe"], PRESETS["caffe"], True),
        (["--preset", "caffe", "--no-bgr"], PRESETS["caffe"], False),
        (["--preset", "torch", "--bgr"], PRESETS["torch"], True),
        (["--scale", "1", "--mean", "1", "2", "3", "--bgr"], ONES, True),
    ],
)  # fmt: skip
def test_flags_say_range_and_order(options, scaling, bgr):
    source = source_of(*options)
    assert (source.scaling, source.bgr) == (scaling, bgr)
    assert ("range" in source.asked, "bgr" in source.asked) == (scaling is not None, bgr is not None)


@pytest.mark.parametrize(
    ("text", "color"),
    [("black", (0, 0, 0)), ("white", (255,) * 3), ("1,2,3", (1, 2, 3)), ("256,0,0", None), ("x", None)],
)  # fmt: skip
def test_a_color_is_a_name_or_three_numbers(text, color, capsys):
    if color:
        assert source_of("--fill", text).fill == color
    else:
        with pytest.raises(SystemExit):
            parse([*COMMAND, "--fill", text])
        assert "expected black, white or three numbers" in capsys.readouterr().err


def test_a_preset_says_all_numbers(capsys):
    assert main([*COMMAND, "--preset", "tf", "--mean", "1"]) == 2
    assert "--preset tf sets --mean, too: give one or the other" in capsys.readouterr().err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos with an EXIF orientation, blue on one side and red on the other, wider than high."""
    root = tmp_path_factory.mktemp("photos")
    random, exif = np.random.default_rng(0), Image.Exif()
    exif[0x0112] = 6
    for number in range(32):
        for name, row in zip(NAMES, (slice(16, 32), slice(0, 16)), strict=True):
            pixels = random.integers(60, 90, (32, 48, 3), np.uint8)
            pixels[row, :, 2] += 100
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / name / f"{number}.jpg", quality=95, exif=exif)
    return root


@pytest.fixture(scope="module")
def exported(tmp_path_factory, folder):
    """An exported model with an unusual setting for every part of the input contract."""
    out = tmp_path_factory.mktemp("exported")
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    features = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    keras.Model(image, layers.Dense(2)(layers.Flatten()(features))).save(out / "mine.keras")
    (out / "names.txt").write_text("\n".join(NAMES))
    command = ["export", "--model", f"{out}/mine.keras", "--classes", f"{out}/names.txt", "--data", str(folder)]
    fed = ["--preset", "caffe", "--resize", "pad", "--fill", "black", "--filter", "box", "--ignore-orientation"]
    assert main([*command, *fed, "--quick", "--out", str(out)]) == 0
    return out


FED = (
    "BGR 0 to 255 less ImageNet's mean (asked), letterboxed on black, box with antialiasing, "
    "as stored, whatever EXIF says"
)


def test_the_contract_is_stated_in_the_documents(exported):
    manifest = Manifest.read(exported)
    assert manifest.contract.preprocessing == FED
    assert set(manifest.contract.asked) == {"range", "bgr", "resize", "resize_filter", "fill", "ignore_orientation"}
    assert manifest.contract.checked.startswith("checked on 64 labeled images: no other way is clearly better; photos ")
    assert json.loads((exported / "verify.json").read_text())["fed"] == manifest.contract.stated_by_export
    assert load_exported(exported).scaling == PRESETS["caffe"]


@pytest.mark.parametrize("name", ["model_fp32.onnx", "model_int8.onnx", "model_fp32.tflite"])
def test_the_device_is_fed_alike(exported, folder, name):
    """A photo file through the runtime against Keras on pixels that are made here."""
    path = folder / "left" / "0.jpg"
    with Image.open(path) as photo:
        small = np.asarray(photo.resize((16, 11), Image.Resampling.BOX))
    pixels = np.zeros((SIDE, SIDE, 3), np.float32)
    pixels[2:13] = small
    bgr = pixels[..., ::-1] - [103.939, 116.779, 123.68]
    logits = load(source_of_export(exported)).model.predict(bgr[np.newaxis].astype(np.float32), verbose=0)[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    classifier = Classifier(exported / name)
    got = classifier.classify(path)
    assert abs(got.probability - expected[NAMES.index(got.label)]) < (0.05 if "int8" in name else 1e-3)


def source_of_export(folder):
    options = parse(["evaluate", f"{folder}/model.keras", "--classes", f"{folder}/names.txt", "--scale", "1"])
    return source_options.source(options)


def test_verify_feeds_as_export_did(exported, folder, capsys):
    assert main(["verify", str(exported), "--data", str(folder)]) == 0
    assert f"fed: {FED}" in capsys.readouterr().out
