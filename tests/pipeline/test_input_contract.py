"""Labeled photos check the input contract: each wrong setting is found, printed as options, and gives exit status 1."""

import re
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.cli import main
from pipeline.data.dataset import Dataset, without_labels
from pipeline.documents.verify import Verification
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import AS_THEY_ARE, PRESETS, UNIT_SCALING, PixelScaling
from pipeline.verify.input_contract import CLASSES, Finding, check_arrays, check_photos
from pipeline.verify.input_contract.certainty import hint
from pipeline.verify.input_contract.class_order import describe, output_of_class
from pipeline.verify.input_contract.preprocessing import Preprocessing
from runtime.image.load import load_pixels
from runtime.spec import NO_ANTIALIAS, ModelSpec

NAMES = ("ball", "bars", "grain", "night", "rim", "rough", "rows", "sky")
SIDE, COUNT = 16, 20
SPEC = ModelSpec(SIDE, NAMES)


def painted(name, random):
    """48 x 96 pixels: with any wrong setting of the input contract, one class looks like another."""
    height, width = 48, 96
    pixels = np.full((height, width, 3), random.integers(100, 130), np.int64)
    if name in {"ball", "sky"}:
        left = random.integers(30, 46)
        pixels[12:36, left : left + 20] = (210, 40, 30) if name == "ball" else (30, 40, 210)
    elif name == "rim":  # outside the largest square
        pixels[:, :18] = pixels[:, -18:] = (210, 40, 30)
    elif name == "bars":
        pixels[:, (np.arange(width) + random.integers(24)) % 24 < 12] = 220
    elif name == "rows":
        pixels[(np.arange(height) + random.integers(12)) % 12 < 6] = 220
    elif name == "night":
        pixels //= 5
    elif name == "grain":  # gone where pixels are averaged
        pixels = random.choice(np.array([0, 230]), (height, width, 1)) * np.ones(3, int)
    else:
        pixels = np.kron(random.choice(np.array([0, 230]), (16, 16)), np.ones((3, 6), int))[..., None] * np.ones(3, int)
    return Image.fromarray(np.clip(pixels + random.integers(-4, 5, pixels.shape), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Phone photos: stored turned by 90 degrees, with an EXIF orientation."""
    root, random, exif = tmp_path_factory.mktemp("photos"), np.random.default_rng(0), Image.Exif()
    exif[0x0112] = 6
    for name in NAMES:
        (root / name).mkdir()
        for number in range(COUNT):
            lying = painted(name, random).transpose(Image.Transpose.ROTATE_90)
            lying.save(root / name / f"{number:02d}.png", exif=exif)
    return root


def learned(folder, preprocessing):
    """A small network that is overfitted to photos with a given input contract."""
    files = sorted(folder.rglob("*.png"))
    pixels = np.stack([load_pixels(file, preprocessing.spec) for file in files])
    labels = np.array([NAMES.index(file.parent.name) for file in files])
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(len(NAMES)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    # The training is of one range, so that it ends well; the first kernel then takes that of the preprocessing.
    model.fit(PRESETS["tf"](pixels), labels, epochs=25, batch_size=24, verbose=0)
    kernel, bias = model.layers[0].get_weights()
    scale, offset = np.array(preprocessing.scaling.scale), np.array(preprocessing.scaling.offset)
    bias = bias + (kernel * (-1 - offset / scale / 127.5)[:, None]).sum((0, 1, 2))
    kernel = kernel / (127.5 * scale)[:, None]
    model.layers[0].set_weights([kernel[:, :, ::-1] if preprocessing.scaling.bgr else kernel, bias])
    return model


@pytest.fixture(scope="module")
def upright(folder):
    return learned(folder, Preprocessing(UNIT_SCALING, SPEC))


@pytest.fixture(scope="module")
def odd(folder):
    """An unusual contract: BGR, 0-255, no EXIF orientation, no antialiasing, black letterbox."""
    return learned(folder, Preprocessing(PixelScaling((1.0,) * 3, bgr=True), ODD))


ODD = ModelSpec(SIDE, NAMES, "fp32", "pad", NO_ANTIALIAS, (0, 0, 0), ignore_orientation=True)


def finding(model, folder, scaling=UNIT_SCALING, names=NAMES, **reading):
    return check_photos(Deployable(model, names, scaling), folder, ModelSpec(SIDE, NAMES, **reading))


@pytest.mark.slow
def test_a_model_that_is_fed_rightly_is_not_doubted(upright, folder):
    found = finding(upright, folder)
    assert (found.sentence, found.differs) == ("", ())
    assert found.accuracy > 0.95
    assert not found.contradicts(())
    assert found.checked == (
        f"checked on {found.images} labeled images: no other way is clearly better; photos rarely tell filters apart: "
        "docs/own-model.md has those of the usual loaders"
    )


@pytest.mark.parametrize(
    ("images", "differs", "checked"),
    [
        (9, (), "not checked: 9 labeled images, but 30 are needed"),
        (12, (CLASSES,), "checked on 12 labeled images: of 12 labeled images"),
        (29, (CLASSES,), "checked on 29 labeled images: of 29 labeled images"),
    ],
)
def test_names_in_another_order_need_more_than_a_handful_of_images(images, differs, checked):
    """A network that gives black and white images each other's class."""
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.layers[1].set_weights([np.array([[1.0, -1.0]] * 3), np.array([-1.5, 1.5])])
    labels = np.arange(images) % 2
    names = ("black", "white")
    pixels = np.broadcast_to(255 * labels[:, None, None, None], (images, 4, 4, 3)).astype(np.uint8)
    found = check_arrays(Deployable(model, names), Dataset(pixels, labels, names), ModelSpec(4, names))
    assert found.differs == differs
    assert found.checked.startswith(checked)


@pytest.mark.parametrize(("images", "said"), [(29, "not checked: 29"), (30, "checked on 30 labeled images: no other")])
def test_few_images_cannot_tell_that_no_other_way_is_better(images, said):
    assert Finding(images, 0.9, 0.9).checked.startswith(said)


@pytest.fixture(scope="module")
def colors():
    """A model of the main color, trained so to say on BGR pixels from 0 to 1, and images with 1 of 5 labels wrong.

    Larger pixels make all probabilities 0 or 1, and outweigh the bias that costs five weakly colored images.
    """
    names = ("red", "green", "blue")
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    model.layers[1].set_weights([10.0 * np.eye(3)[::-1], np.array([0.5, 0.0, 0.0])])
    shown, weak = np.arange(150) % 3, np.arange(150) % 30 == 4
    labels = np.where(np.arange(150) // 3 % 5 == 0, (shown + 1) % 3, shown)
    added = np.where(weak, 10, 60)[:, np.newaxis] * (shown[:, np.newaxis] == np.arange(3))
    pixels = np.broadcast_to(100 + added[:, np.newaxis, np.newaxis], (150, 4, 4, 3)).astype(np.uint8)
    images = Dataset(np.ascontiguousarray(pixels), labels, names)
    return lambda scaling: check_arrays(Deployable(model, names, scaling), images, ModelSpec(4, names))


def test_of_ways_that_photos_do_not_tell_apart_the_one_is_advised_whose_probabilities_fit(colors):
    found = colors(UNIT_SCALING)
    assert found.differs == ("bgr",)
    right = round(found.better * 150)
    tie = rf"{right + 5} with --preset \w+ --bgr"
    assert re.search(
        rf"and {right} \({found.better:.1%}\) with --bgr \({tie}, {tie}: the photos do not tell these apart, "
        r"but the probabilities fit worse\)$",
        found.sentence,
    ), found.sentence


@pytest.mark.parametrize(("scaling", "doubted"), [(AS_THEY_ARE, True), (UNIT_SCALING, False)])
def test_probabilities_of_0_and_1_with_many_wrong_answers_are_doubted(colors, scaling, doubted):
    found = colors(replace(scaling, bgr=True))
    assert not found.sentence
    assert ("the mean confidence is 100.0% and only" in found.checked) == doubted
    assert ("the value range may be wrong (--preset, --scale)" in found.checked) == doubted


WRONG = {
    "value range": (PRESETS["none"], {}, "--scale 1/255", {"range"}),
    "signed": (PRESETS["tf"], {}, "--scale 1/255", {"range"}),
    "channel order": (PixelScaling(bgr=True), {}, "--no-bgr", {"bgr"}),
    "both": (PRESETS["caffe"], {}, "--scale 1/255 --no-bgr", {"range", "bgr"}),
    "orientation": (UNIT_SCALING, {"ignore_orientation": True}, "--no-ignore-orientation", {"ignore_orientation"}),
    "shape": (UNIT_SCALING, {"resize": "crop"}, "--resize stretch", {"resize"}),
    "letterbox": (UNIT_SCALING, {"resize": "pad", "fill": (0, 0, 0)}, "--resize stretch", {"resize"}),
    "antialiasing": (UNIT_SCALING, {"resize_filter": NO_ANTIALIAS}, "--filter bilinear", {"resize_filter"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_each_wrong_way_is_found(upright, folder, wrong):
    scaling, reading, flags, differs = wrong
    found = finding(upright, folder, scaling, **reading)
    assert re.search(rf"with {flags}( \(160 with --preset torch.*: the photos do not tell .*\))?$", found.sentence)
    assert set(found.differs) == differs
    assert f"of {found.images} labeled images" in found.sentence
    assert f"({found.accuracy:.1%})" in found.sentence
    assert f"({found.better:.1%})" in found.sentence
    assert found.contradicts(())
    assert not found.contradicts(differs)


@pytest.mark.slow
def test_several_wrong_respects_are_found_one_after_the_other(odd, folder):
    found = finding(odd, folder)
    for flag in ("--preset none --bgr", "--ignore-orientation"):
        assert flag in found.sentence, found.sentence
    assert found.better > 0.8 > found.accuracy


@pytest.mark.slow
def test_a_black_letterbox_is_found(odd, folder):
    found = check_photos(
        Deployable(odd, NAMES, PixelScaling((1.0,) * 3, bgr=True)), folder, replace(ODD, fill=(255, 255, 255))
    )
    assert found.sentence.endswith("with --fill black")
    assert found.differs == ("fill",)


@pytest.mark.slow
def test_swapped_names_are_told_from_exchanged_colors(upright, folder):
    """Exchanged red and blue look like two exchanged names; only the other classes can distinguish these cases."""
    swapped = ("ball", "night", "grain", "bars", *NAMES[4:])
    found = finding(upright, folder, names=swapped)
    assert found.sentence.endswith("the names night and bars exchanged in --classes"), found.sentence
    assert found.differs == (CLASSES,)
    found = finding(upright, folder, names=(*NAMES[1:], NAMES[0]))
    assert found.sentence.endswith(f"the names of --classes in the order {', '.join(NAMES)}")
    found = finding(upright, folder, PRESETS["none"], swapped)
    assert "--scale 1/255 and with the names night and bars exchanged" in found.sentence, found.sentence


@pytest.mark.slow
def test_pixels_tell_the_range_and_the_order_of_channels(upright, folder):
    files = sorted(folder.rglob("*.png"))
    labels = np.array([NAMES.index(file.parent.name) for file in files])
    images = Dataset(np.stack([load_pixels(file, SPEC) for file in files]), labels, NAMES)
    found = check_arrays(Deployable(upright, NAMES, PixelScaling(bgr=True)), images, SPEC)
    assert found.sentence.endswith("with --no-bgr"), found.sentence
    listed = keras.Model(upright.inputs, upright.outputs[0])
    assert not check_arrays(Deployable(listed, NAMES), images, SPEC).sentence
    turned = replace(images, pixels=np.ascontiguousarray(np.rot90(images.pixels, axes=(1, 2))))
    assert "orientation" not in check_arrays(Deployable(upright, NAMES), turned, SPEC).sentence


@pytest.mark.slow
def test_without_labels_certainty_is_a_hint(upright, folder):
    pixels = np.stack([load_pixels(file, SPEC) for file in sorted(folder.rglob("*.png"))])
    images = without_labels(pixels, NAMES)
    said = hint(Deployable(upright, NAMES, PixelScaling((1e-4,) * 3)), images, SPEC)
    assert said.startswith("hint: the Keras model names 1 class (mean confidence"), said
    assert "nats) as it is fed, the Keras model names 8 classes" in said
    assert not hint(Deployable(upright, NAMES), images, SPEC)


@pytest.mark.slow
def test_a_model_that_has_learned_nothing_is_not_explained(folder):
    keras.utils.set_random_seed(0)
    blank = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Flatten(), layers.Dense(len(NAMES))])
    assert not finding(blank, folder).differs or finding(blank, folder).better > 0.35


@pytest.mark.slow
def test_files_that_are_no_image_say_nothing(tmp_path, upright):
    for name in NAMES[:2]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.jpg").write_bytes(b"no image")
    assert check_photos(Deployable(upright, NAMES), tmp_path, SPEC) is None


@pytest.mark.parametrize(
    ("confusion", "order"),
    [
        ([[9, 1, 0], [0, 10, 0], [1, 0, 9]], [0, 1, 2]),
        ([[0, 10, 0], [10, 0, 0], [0, 0, 10]], [1, 0, 2]),
        ([[0, 20, 0], [0, 0, 20], [20, 0, 0]], [1, 2, 0]),
        ([[4, 6, 0], [6, 4, 0], [0, 0, 10]], [0, 1, 2]),  # chance
        ([[0, 2, 0], [2, 0, 0], [0, 0, 2]], [0, 1, 2]),  # too few
        ([[0] * 3] * 3, [0, 1, 2]),
    ],
)
def test_the_order_of_names_by_the_confusion_that_they_leave(confusion, order):
    assert output_of_class(np.array(confusion), 0.01).tolist() == order


def test_many_names_in_another_order_are_listed_up_to_ten():
    names = tuple(f"c{number}" for number in range(12))
    assert describe(names, np.roll(np.arange(12), 1)).endswith("c9, c10 and 2 more")


@pytest.mark.parametrize(
    ("asked", "better", "flags"),
    [
        (UNIT_SCALING, AS_THEY_ARE, "--preset none"),
        (UNIT_SCALING, PRESETS["caffe"], "--preset caffe"),
        (UNIT_SCALING, replace(PRESETS["caffe"], bgr=False), "--preset caffe --no-bgr"),
        (AS_THEY_ARE, PixelScaling(bgr=True), "--scale 1/255 --bgr"),
        (PRESETS["caffe"], UNIT_SCALING, "--scale 1/255 --no-bgr"),
        (PixelScaling(bgr=True), UNIT_SCALING, "--no-bgr"),
    ],
)
def test_flags_of_a_way(asked, better, flags):
    assert Preprocessing(better, SPEC).flags(Preprocessing(asked, SPEC)) == flags


@pytest.fixture
def command(tmp_path, upright, folder):
    upright.save(tmp_path / "mine.keras")
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    fed = ["--classes", f"{tmp_path}/names.txt", "--data", str(folder)]
    return lambda name, *options: main([name, *([f"{tmp_path}/mine.keras"]), *fed, "--on", "validation", *options])


@pytest.mark.slow
def test_evaluate_fails_unless_it_was_asked_so(command, capsys):
    assert command("evaluate", "--ignore-orientation", "--as-asked") == 0
    assert "warning: of 160 labeled images" in capsys.readouterr().err
    assert command("evaluate", "--ignore-orientation") == 0  # said on the command line
    assert "it is fed as asked" in capsys.readouterr().err
    assert command("evaluate") == 0
    assert "labeled images" not in capsys.readouterr().err


@pytest.mark.slow
def test_export_writes_nothing_that_is_fed_wrongly_and_verify_knows_what_was_asked(tmp_path, odd, folder, capsys):
    odd.save(tmp_path / "mine.keras")
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    out = tmp_path / "out"
    command = ["export", "--model", f"{tmp_path}/mine.keras", "--classes", f"{tmp_path}/names.txt", "--quick"]
    command += ["--data", str(folder), "--out", str(out), "--preset", "none", "--bgr"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "--ignore-orientation" in said
    assert "it was most likely trained that way: change the options accordingly, or keep them with --as-asked" in said
    assert not (out / "manifest.json").exists()
    assert main([*command, "--as-asked"]) == 0
    assert "checked on 160 labeled images: of 160" in (out / "verify.json").read_text()
    capsys.readouterr()
    assert main(["verify", str(out), "--data", str(folder)]) == 1
    assert "error: of 160 labeled images" in capsys.readouterr().err
    verified = Verification.read(out)
    assert not verified.passed
    assert verified.wrong_input.startswith("of 160 labeled images")
    assert any(verified.wrong_input in note for note in verified.as_table().notes)
    assert main(["verify", str(out), "--data", str(folder), "--as-asked"]) == 0
    assert Verification.read(out).passed
