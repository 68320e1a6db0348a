"""Multi-label models: heads, files, acceptance criteria, tables of labels, and what the commands say."""

import re
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from keras_outputs import keras_outputs
from pipeline import cli
from pipeline.commands import OK, UNUSABLE
from pipeline.data import label_table
from pipeline.data.dataset import Dataset, with_multi_hot
from pipeline.data.label_arrays import as_numbers
from pipeline.data.photo_settings import Settings
from pipeline.documents.evaluation import LabelEvaluation
from pipeline.documents.manifest import Manifest
from pipeline.errors import DataError, ExportError
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import Source, load
from pipeline.export.load.saved import save
from pipeline.export.quantize.acceptance import AcceptanceCriteria
from pipeline.export.quantize.label_acceptance import judge_labels
from pipeline.notebook import report, verify
from pipeline.verify.drift import drift
from pipeline.verify.drift.flips import label_flips
from runtime import Classifier

NAMES = ("red", "green", "blue")


def painted(count, seed=0):
    """Dark pictures with a square in the color of each label."""
    random = np.random.default_rng(seed)
    multi_hot = random.random((count, 3)) < 0.45
    pixels = random.integers(0, 60, (count, 16, 16, 3), np.uint8)
    for image, color in np.argwhere(multi_hot):
        row, column = 5 * color, random.integers(0, 12)  # where none hides another
        square = pixels[image, row : row + 4, column : column + 4]
        square[:] = 20
        square[..., color] = random.integers(150, 255)
    return pixels, multi_hot


def sees_colors(head="sigmoid"):
    """A network whose weights are set by hand: a label is the largest value of its color."""
    stack = [layers.Conv2D(3, 1, activation="relu"), layers.MaxPooling2D(2), layers.GlobalMaxPooling2D()]
    model = keras.Sequential([keras.Input((16, 16, 3)), *stack, layers.Dense(3, head)])
    model.layers[0].set_weights([1.3 * np.eye(3).reshape(1, 1, 3, 3) - 0.3, np.zeros(3)])
    model.layers[3].set_weights([20 * np.eye(3), np.full(3, -8.0)])
    return model


def judged(got, multi_hot):
    expected = np.where(multi_hot, 0.9, 0.1).astype(np.float32)
    return judge_labels(expected, got(expected.copy()), multi_hot, (0.5,) * 3, NAMES, AcceptanceCriteria())


def without_blue(answers):
    answers[::3, 2] = 0.1
    return answers


@pytest.mark.parametrize(
    ("got", "violations"),
    [
        (lambda answers: answers, ()),
        (without_blue, ("macro F1: ", "blue: ", "blue: agreement ", "mean difference ")),
    ],
)
def test_the_acceptance_criteria_name_the_lost_label(got, violations):
    _, multi_hot = painted(400)
    judgment = judged(got, multi_hot)
    assert len(judgment.violations) == len(violations)
    assert all(map(str.startswith, judgment.violations, violations))
    assert judgment.accuracy == (1 if not violations else pytest.approx(1 - judgment.lost_points / 100))
    assert judgment.worst_class == ("blue" if violations else "red")


def test_a_photo_in_a_class_folder_shows_one_label():
    images = Dataset(np.zeros((3, 16, 16, 3), np.uint8), np.array([2, 0, 1]), NAMES)
    marked = with_multi_hot(images)
    assert marked.multi_hot.tolist() == [[False, False, True], [True, False, False], [False, True, False]]
    assert not marked.labeled
    assert marked.take(np.array([0])).multi_hot.tolist() == [[False, False, True]]
    assert marked.digest != images.digest
    with pytest.raises(DataError, match=r"multi-hot labels must be bool \(3, 3\)"):
        Dataset(images.pixels, images.labels, NAMES, labeled=False, multi_hot=np.zeros((3, 2), bool))


@pytest.mark.parametrize("head", ["sigmoid", "own layer"])
def test_probabilities_are_keras_s_own(head):
    model = sees_colors("sigmoid" if head == "sigmoid" else None)
    if head != "sigmoid":
        model = keras.Sequential([model, layers.Activation("sigmoid")])
    deployable = Deployable(model, NAMES)
    pixels, multi_hot = painted(20)
    expected = keras_outputs(model, pixels / np.float32(255))
    assert np.allclose(deployable.probabilities(pixels), expected)
    assert np.allclose(1 / (1 + np.exp(-deployable.logits(pixels))), expected, atol=1e-6)
    assert ((expected > 0.5) == multi_hot).all()


@pytest.mark.parametrize("head", [None, "sigmoid"])
def test_logits_of_labels_become_sigmoids_if_that_is_said(tmp_path, head):
    save(sees_colors(head), tmp_path / "model.keras")
    deployable = load(Source(tmp_path / "model.keras", NAMES, multi_label=True))
    pixels, _ = painted(20)
    assert deployable.multi_label
    assert np.allclose(deployable.probabilities(pixels), Deployable(sees_colors(), NAMES).probabilities(pixels))


@pytest.mark.parametrize(
    ("units", "activation", "said"),
    [
        (3, "softmax", "ends in softmax, so its classes exclude each other; .*leave --multi-label out"),
        (3, "log_softmax", "ends in log_softmax"),
        (1, "sigmoid", "one output tells two classes apart"),
    ],
)
def test_other_heads_judge_no_labels(tmp_path, units, activation, said):
    image = keras.Input((16, 16, 3))
    save(keras.Model(image, layers.Dense(units, activation)(layers.Flatten()(image))), tmp_path / "model.keras")
    with pytest.raises(ExportError, match=said):
        load(Source(tmp_path / "model.keras", NAMES, multi_label=True))


@pytest.mark.slow
def test_a_table_for_logits_that_nobody_calls_multi_label(exported, tmp_path, capsys):
    folder, photos, _, _ = exported
    command = ["export", "--model", folder / "model.keras", "--classes", folder.parent / "names.txt", "--data", photos]
    assert cli.main([*map(str, command), "--out", str(tmp_path)]) == UNUSABLE
    assert "if each logit judges one label by itself, give --multi-label" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [[[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [0, 1, 0]]])
def test_several_labels_an_image_are_no_classes(labels):
    with pytest.raises(DataError, match="multi_label=True"):
        as_numbers(np.array(labels), NAMES)


def test_a_temperature_is_refused():
    with pytest.raises(ExportError, match=r"the temperature 1\.5 does not apply: .*each label by itself"):
        Deployable(sees_colors(), NAMES, temperature=1.5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model exported by the command with photos and ``labels.csv``: folder, photos, pixels and multi-hot labels."""
    place = tmp_path_factory.mktemp("multi-label")
    photos, out = place / "photos", place / "out"
    pixels, multi_hot = painted(160)
    photos.mkdir()
    rows = ["file,labels"]
    for number, (image, shown) in enumerate(zip(pixels, multi_hot, strict=True)):
        Image.fromarray(image).save(photos / f"{number:03}.png")
        rows.append(f"{number:03}.png,{';'.join(name for name, one in zip(NAMES, shown, strict=True) if one)}")
    (photos / "labels.csv").write_text("\n".join(rows))
    (place / "names.txt").write_text("\n".join(NAMES))
    save(sees_colors(None), place / "model.keras")  # logits
    command = ["export", "--model", place / "model.keras", "--classes", place / "names.txt", "--data", photos]
    command += ["--multi-label", "--quick", "--out", out, *(["--formats", "ncnn"] if _has_pnnx() else [])]
    assert cli.main([str(part) for part in command]) == OK
    return out, photos, pixels, multi_hot


def _has_pnnx():
    return find_spec("pnnx") is not None and find_spec("ncnn") is not None


@pytest.mark.slow
def test_every_file_decides_as_keras_does(exported):
    folder, photos, pixels, multi_hot = exported
    manifest = Manifest.read(folder)
    assert manifest.passed
    assert not manifest.failed
    assert len(manifest.thresholds) == 3
    assert manifest.validation.keras_macro_f1 == 1
    assert all("float sigmoids" in decision.summary for decision in manifest.decisions.values())
    found = verify(folder, photos)
    assert found.passed
    assert found.keras.labels.macro_f1 == found.keras.labels.mean_average_precision == 1
    assert any(caveat.startswith("The thresholds were chosen on these images.") for caveat in found.caveats)
    for name, row in found.measured.items():
        assert min(row.label_agreement) == row.agreement == row.labels.macro_f1 == 1
        with Classifier(folder / name) as classifier:
            assert classifier.spec.thresholds == manifest.thresholds
            for image, shown in zip(pixels[:5], multi_hot, strict=False):
                labels = {name for name, is_shown in zip(NAMES, shown, strict=True) if is_shown}
                assert set(classifier.classify(image).labels) == labels


@pytest.mark.slow
def test_evaluate_tells_each_label_and_how_the_model_is_fed(exported, tmp_path, capsys):
    folder, photos, _, _ = exported
    command = ["evaluate", folder / "model.keras", "--classes", folder.parent / "names.txt", "--data", photos]
    assert cli.main([*map(str, command), "--multi-label", "--on", "validation", "--out", str(tmp_path)]) == OK
    found, said = LabelEvaluation.read(tmp_path), capsys.readouterr().out
    assert found.macro_f1 == found.mean_average_precision == found.subset_accuracy == 1
    assert list(found.labels) == list(NAMES)
    assert all(row.precision == row.recall == row.f1 == 1 for row in found.labels.values())
    assert f"macro F1 100% on {found.images} images, 95 % interval" in said
    assert "The thresholds were chosen on these same images; each of 5 parts" in said
    assert f"fed: {found.input_contract}" in said
    assert found.input_contract.startswith("RGB 0 to 1 (assumed), stretched")


@pytest.mark.slow
def test_drift_ends_in_sigmoids(exported):
    folder, _, pixels, multi_hot = exported
    images = Dataset(pixels, np.zeros(len(pixels), int), NAMES, labeled=False, multi_hot=multi_hot)
    drifted = drift(folder, images, layer_images=4)
    assert drifted.layers[-1].kind == "Sigmoid"
    assert all(row.layers["probabilities"].snr_db > 40 and not row.flips for row in drifted.artifacts.values())


def test_a_flip_names_the_label_that_changes():
    images = Dataset(
        np.zeros((2, 16, 16, 3), np.uint8), np.zeros(2, int), NAMES, labeled=False, multi_hot=np.eye(2, 3, dtype=bool)
    )
    expected, got = np.full((2, 3), 0.9, np.float32), np.full((2, 3), 0.8, np.float32)
    got[1, 0] = 0.3
    (flip,) = label_flips(expected, got, images, (0.5,) * 3)
    assert (flip.image, flip.true_class, flip.keras_class, flip.file_class) == (1, "not red", "red", "not red")
    assert (flip.keras_probability, flip.probability) == pytest.approx((0.9, 0.3))


@pytest.mark.parametrize(
    "table",
    [
        "file,labels\na.png,red;blue\nsub/b.png,\n",
        "\ufeffFileName,Tags\r\na.png, blue ; red\r\n\r\nsub/b.png,\r\n",
        "image,blue,red,green\na.png,1,1,0\nsub/b.png,0,,0\n",
    ],
)
def test_a_table_says_which_labels_a_photo_has(tmp_path, table):
    path = tmp_path / "labels.csv"
    path.write_text(table, newline="")
    multi_hot = {name: shown.tolist() for name, shown in label_table.read_table(path, NAMES).items()}
    assert multi_hot == {"a.png": [True, False, True], "sub/b.png": [False, False, False]}


@pytest.mark.parametrize("folders", [("", ""), ("train/", "val/")])
def test_photos_of_a_table_are_divided_once(tmp_path, folders):
    pixels, multi_hot = painted(20)
    rows = ["file,labels"]
    for number, (image, shown) in enumerate(zip(pixels, multi_hot, strict=True)):
        path = tmp_path / f"{folders[number % 4 == 0]}{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
        labels = ";".join(name for name, is_shown in zip(NAMES, shown, strict=True) if is_shown)
        rows.append(f"{path.relative_to(tmp_path)},{labels}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    photos = label_table.load(tmp_path, Settings(side=16), NAMES)
    parts = photos.training, photos.validation
    assert sorted(path for part in parts for path in part.paths) == sorted(row.split(",")[0] for row in rows[1:])
    assert [len(part) for part in parts] == ([15, 5] if folders[0] else [18, 2])
    for part in parts:
        numbers = [int(path[-6:-4]) for path in part.paths]
        assert (part.pixels == pixels[numbers]).all()
        assert (part.multi_hot == multi_hot[numbers]).all()


def test_photos_of_a_table_in_a_test_part_alone_judge_a_model(tmp_path):
    pixels, multi_hot = painted(6)
    (tmp_path / "test").mkdir()
    rows = ["file,labels"]
    for number, (image, shown) in enumerate(zip(pixels, multi_hot, strict=True)):
        Image.fromarray(image).save(tmp_path / f"test/{number}.png")
        rows.append(f"test/{number}.png,{';'.join(name for name, it in zip(NAMES, shown, strict=True) if it)}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    photos = label_table.load(tmp_path, Settings(side=16), NAMES)
    assert photos.is_test_only
    assert (photos.test.multi_hot == multi_hot).all()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "expected the columns file,labels with ';' between labels, or file,red,green,blue with 0 or 1"),
        ("photo,labels\na.png,red\n", "its columns are photo, labels; expected"),
        ("file,red,green\na.png,1,0\n", "no column for blue; expected"),
        ("file,red,green,blue,pink\na.png,1,0,0,0\n", "columns that are no label: pink; expected"),
        ("file,red,green,blue\na.png,1,0,yes\n", "row 2 has yes; expected 0 or 1"),
        (
            "file,red,green,Blue\na.png,1,0,0\n",
            "with 0 or 1; Blue differs only in case from classes of the model: write them in the same way",
        ),
        ("file,labels\na.png,red;BLUE\n", "blue; BLUE differs only in case from classes of the model: write them in"),
        ("file,labels\na.png,red;pink\n", "row 2 names no label of the model: pink; it has red, green, blue"),
        ("file,labels\na.png,red\na.png,blue\n", "row 3 names a.png again; keep one row for each photo"),
        ("file,labels\na.png,red,blue\n", "row 2 has 3 cells, the header 2"),
        ("file,labels\n", "no row below the header"),
        ("file,labels\nmissing.png,red\n", r"missing.png is not there \(No such file or directory\)"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path, table, said):
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=said):
        label_table.load(tmp_path, Settings(side=16), NAMES)


@pytest.mark.slow
def test_the_report_lists_each_label(exported):
    folder, photos, _, _ = exported
    verify(folder, photos)
    page = report(folder).html
    assert "mean average precision (95 % interval)" in page
    assert re.search(r">100% \(\d\d% to 100%\)", page)
    assert "Temperature" not in page
