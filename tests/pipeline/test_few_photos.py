"""A pretrained network fitted to few photos: views, kept features, the head, cross-validation, and the command."""

import json
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import measured_folder
from pipeline import artifacts
from pipeline.cli import main, parse
from pipeline.commands import few_photos
from pipeline.commands import photos as photos_command
from pipeline.data.dataset import Dataset
from pipeline.data.folds import look_alike, stratified
from pipeline.documents.history import History
from pipeline.errors import ArchitectureError, DataError
from pipeline.report import report
from pipeline.training.transfer import backbone, head, judge, views
from pipeline.training.transfer.features import features
from pipeline.training.transfer.plan import plan
from pipeline.training.transfer.run import out_of_fold
from runtime import cli as runtime_cli

SIDE, WIDTH = 32, 12
COLORS = {"sky": (60, 120, 220), "leaf": (40, 160, 60), "brick": (190, 70, 50)}


def classifier(*end):
    """A small network that nobody has trained, 0-1 in."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(WIDTH, 4, 4, activation="relu")(image)
    x = layers.GlobalAveragePooling2D()(x)
    for layer in end or (layers.Dense(5), layers.Softmax()):
        x = layer(x)
    return keras.Model(image, x)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "mine.keras"
    classifier().save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve photos a class; a class is a color. One lies in the wrong folder."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir()
        for number in range(12):
            shown = COLORS["brick"] if (name, number) == ("sky", 3) else color
            noise = random.normal(0, 30, (4, 4, 3)).repeat(10, 0).repeat(10, 1)
            Image.fromarray(np.clip(shown + noise, 0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def command(network, photos, tmp_path):
    return ["train", "--data", str(photos), "--backbone", str(network), "--out", str(tmp_path / "out")]


def squares(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_views_depend_on_photo_and_number_alone():
    (square,) = squares(1)
    key = views.key_of(square)
    np.testing.assert_array_equal(views.view(square, key, 0), square)
    drawn = [views.view(square, key, number) for number in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert views.view(square, bytes(16), 1).shape == square.shape
    assert (views.view(square, bytes(16), 1) != drawn[0]).any()


def test_no_view_shows_what_is_beyond_the_photo():
    white = np.full((96, 96, 3), 255, np.uint8)
    for number in range(1, 60):
        seen = views.view(white, bytes([number]) * 16, number)
        assert seen.min() == seen.max()  # a corner from outside would be black


def test_a_backbone_is_cut_before_its_last_dense_layer(network):
    found = backbone.of_file(network)
    pixels = squares(3)
    whole = keras.models.load_model(network)
    expected = keras.Model(whole.inputs, whole.layers[-3].output).predict(pixels / np.float32(255), verbose=0)
    np.testing.assert_allclose(found.features(pixels), expected, atol=1e-5)
    assert (found.side, found.width, found.name) == (SIDE, WIDTH, "mine.keras")
    kernel, bias = np.random.default_rng(0).normal(size=(WIDTH, 4)), np.arange(4.0)
    answers = found.classifier(kernel, bias).predict(pixels / np.float32(255), verbose=0)
    logits = expected @ kernel + bias
    np.testing.assert_allclose(np.log(answers), logits - np.log(np.exp(logits).sum(1, keepdims=True)), atol=1e-4)


def test_a_backbone_without_a_dense_end_is_refused(tmp_path):
    path = tmp_path / "mine.keras"
    convolution = [layers.Reshape((1, 1, WIDTH)), layers.Conv2D(5, 1), layers.Reshape((5,)), layers.Softmax()]
    classifier(*convolution).save(path)
    with pytest.raises(ArchitectureError, match=r"ends in Reshape .*must end in a dense layer"):
        backbone.of_file(path)


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 24, 3)])
def test_a_backbone_of_other_images_is_refused(tmp_path, shape):
    image = keras.Input(shape)
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))
    keras.Model(image, layers.Dense(2, activation="softmax")(pooled)).save(tmp_path / "mine.keras")
    with pytest.raises(ArchitectureError, match="takes square RGB images, this one takes"):
        backbone.of_file(tmp_path / "mine.keras")


class Counting:
    """A backbone of two features that counts what it sees."""

    digest, width = "ab" * 32, 2

    def __init__(self):
        self.seen = 0

    def features(self, pixels):
        self.seen += len(pixels)
        return pixels.reshape(len(pixels), -1)[:, :2].astype(np.float32)


def test_features_are_computed_once():
    pixels, looking = squares(40), Counting()
    first = features(looking, pixels, range(2))
    np.testing.assert_array_equal(first[0], pixels.reshape(40, -1)[:, :2])
    assert looking.seen == 80
    np.testing.assert_array_equal(features(looking, pixels[::-1], range(2)), first[:, ::-1])
    assert looking.seen == 80
    features(looking, np.concatenate([pixels, squares(3, 1), squares(3, 1)]), range(2))
    assert looking.seen == 86


@pytest.mark.parametrize(("cut", "again"), [(-3, 1), (-1, 1), (0, 0)])
def test_a_torn_file_of_features_loses_its_last_record(own_cache, cut, again):
    pixels, looking = squares(10), Counting()
    first = features(looking, pixels, range(1))
    (path,) = own_cache.rglob("*.bin")
    os.truncate(path, path.stat().st_size + cut)
    np.testing.assert_array_equal(features(looking, pixels, range(1)), first)
    assert looking.seen == 10 + again


def test_a_damaged_feature_is_computed_again(own_cache):
    pixels, looking = squares(10), Counting()
    first = features(looking, pixels, range(1))
    (path,) = own_cache.rglob("*.bin")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(features(looking, pixels, range(1)), first)
    assert looking.seen == 11


def clusters(count, classes, width, spread, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centers = np.random.default_rng(99).normal(size=(classes, width))
    return (centers[labels] + spread * random.normal(size=(count, width))).astype(np.float32), labels


def test_pairs_that_look_alike_in_two_classes_are_named():
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    pixels[4], pixels[5] = pixels[1], pixels[2]
    photos = Dataset(pixels, np.array([0, 0, 1, 1, 1, 1]), ("ant", "bee"), tuple("abcdef"))
    judged = judge.Judged(np.eye(2)[photos.labels], 1.0, 2, 1, ((1.0, 1.0),), 1.0)
    found = out_of_fold(judged, photos, look_alike(pixels))
    assert found.between_classes == (("b", "e"),)  # c and f are of one class
    assert found.look_alike == 4


def test_the_head_is_at_the_optimum():
    rows, labels = clusters(90, 3, 8, 0.8)
    rows[:, 0] = 5  # says nothing
    fitted = head.fit(np.stack([rows, rows]), labels, 3)
    logits = fitted.logits(rows)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    error = (shares / shares.sum(1, keepdims=True) - np.eye(3)[labels]) / len(rows)
    deviation = rows.std(0)
    gradient = (rows - rows.mean(0)).T @ error + head.PENALTY * fitted.kernel * deviation[:, None] ** 2
    assert np.abs(gradient).max() < 1e-3
    assert np.abs(error.sum(0)).max() < 1e-3
    assert (fitted.kernel[0] == 0).all()
    assert (logits.argmax(1) == labels).mean() > 0.8


def test_photos_that_look_alike_are_one_group():
    random = np.random.default_rng(0)
    scenes = random.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(12, 1).repeat(12, 2)
    burst = np.clip(scenes[:2].astype(int) + random.integers(-6, 7, (2, 96, 96, 3)), 0, 255).astype(np.uint8)
    dark, bright = np.full((1, 96, 96, 3), 20, np.uint8), np.full((1, 96, 96, 3), 200, np.uint8)
    groups = look_alike(np.concatenate([scenes, burst, dark, bright]))
    assert groups[5] == groups[0]
    assert groups[6] == groups[1]
    assert len(np.unique(groups)) == 7  # flat photos of another brightness are other photos


@pytest.mark.parametrize(("count", "classes", "folds"), [(60, 3, 5), (43, 4, 10), (11, 2, 2)])
def test_folds_hold_all_classes_and_no_group_is_torn(count, classes, folds):
    random = np.random.default_rng(0)
    labels, groups = random.permutation(np.arange(count) % classes), np.arange(count)
    groups[::7] = groups[0]
    found = stratified(labels, groups, folds, 0)
    assert set(found) == set(range(folds))
    assert len(set(found[::7])) == 1
    sizes = [np.bincount(found[labels == label], minlength=folds) for label in range(classes)]
    assert max(size.max() - size.min() for size in sizes) <= 2


def test_out_of_fold_accuracy_is_not_that_of_what_was_learned():
    """Labels by chance cannot be known, however well a network of many features learns them by heart."""
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(1, 120, 200)), random.integers(0, 2, 120)
    found = judge.judge(judge.Views(rows, labels, np.arange(120), 2), 0)
    assert 0.3 < found.accuracy < 0.7
    assert (found.folds, found.repeats) == (10, 1)
    twice = np.concatenate([rows, rows], 1)
    torn = judge.judge(judge.Views(twice, np.tile(labels, 2), np.arange(240), 2), 0)
    whole = judge.judge(judge.Views(twice, np.tile(labels, 2), np.tile(np.arange(120), 2), 2), 0)
    assert torn.accuracy > 0.9  # copies in other folds give the answers away …
    assert whole.accuracy < 0.7  # … and do not where a group stays together


def test_photos_of_one_burst_alone_are_refused():
    rows, labels = clusters(30, 3, 8, 0.5)
    with pytest.raises(DataError, match="all 30 photos look alike"):
        judge.judge(judge.Views(rows[None], labels, np.zeros(30, np.int64), 3), 0)


def test_few_photos_are_divided_several_times():
    rows, labels = clusters(30, 3, 8, 0.5)
    found = judge.judge(judge.Views(rows[None], labels, np.arange(30), 3), 0)
    assert (found.folds, found.repeats, found.temperature) == (10, 3, 1.0)
    assert [round(count, 2) for count, _ in found.curve] == [2.25, 4.5, 9.0]


@pytest.mark.parametrize(
    ("curve", "gain"),
    [
        (((10, 0.6), (20, 0.8), (40, 0.9)), 0.05),
        (((10, 0.9), (20, 0.9), (40, 0.9)), None),
        (((10, 0.9), (20, 0.8), (40, 0.7)), None),
        (((10, 0.9), (20, 1.0), (40, 1.0)), None),
    ],
)
def test_what_twice_as_many_photos_bring(curve, gain):
    assert judge.expected_gain(curve) == (gain if gain is None else pytest.approx(gain))


@pytest.mark.parametrize(
    ("photos", "minutes", "given", "expected"),
    [
        (240, 10, {}, (224, 4)),
        (4_000, 10, {}, (224, 4)),
        (10_000, 10, {}, (224, 1)),
        (20_000, 10, {}, (192, 1)),
        (10**6, 1, {}, (96, 1)),
        (240, 10, {"side": 160, "views": 7}, (160, 7)),
    ],
)
def test_photos_and_minutes_choose_side_and_views(photos, minutes, given, expected):
    chosen = plan(photos, minutes, **given)
    assert (chosen.side, chosen.views) == expected
    assert ("more than you allow" in chosen.why) == (photos == 10**6)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--minutes 0", "--minutes must be more than 0, got 0"),
        ("--views 0", "--views must be 1 or more, got 0"),
        ("--side 64", "takes 32 pixels: leave --side out, got 64"),
        ("--from-scratch", "mine.keras is pretrained: leave one out"),
        ("--epochs 3 --teacher t.keras", "--epochs, --teacher says nothing to it"),
        ("--distribute mirrored", "--distribute says nothing to it"),
        ("--model mobilenetv2", "has its own network and weights: leave --model out"),
        ("--weights w.h5", "has its own network and weights: leave --weights out"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(command, capsys, typed, message):
    assert main([*command, *typed.split()]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in said


@pytest.mark.parametrize("typed", ["--weights w.h5", "--views 3 --model vgg8", "--data x --from-scratch --minutes 3"])
def test_what_only_pretrained_networks_take_is_not_ignored(capsys, typed):
    assert main(["train", *typed.split()]) == 2
    assert "is for pretrained networks, and" in capsys.readouterr().err


def test_help_begins_with_what_most_people_need(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    first, _, rest = capsys.readouterr().out.partition("\noptions:\n")[2].partition("\nown photos:\n")
    found = re.findall(r"^  (-[-\w]+)", first, re.MULTILINE)
    assert found == ["-h", "--out", "--model", "--data", "--skip-bad", "--minutes"]
    assert "--epochs" in rest


def test_a_pretrained_network_needs_photos(capsys):
    assert main(["train", "--model", "efficientnet-lite0"]) == 2
    assert "give their folder with --data DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "installed", "expected"),
    [
        ("", True, (False, "notes")),
        ("--data x", True, (True, "efficientnet-lite0")),
        ("--data x", False, (False, "notes")),
        ("--data x --from-scratch", True, (False, "notes")),
        ("--data x --model vgg8", True, (False, "vgg8")),
        ("--data x --epochs 4", True, (False, "notes")),
        ("--data x --side 64", True, (False, "notes")),
        ("--data x --distribute mirrored", True, (False, "notes")),
        ("--data x --side 96", True, (True, "efficientnet-lite0")),
        ("--data x --model mobilenetv2-0.35", True, (True, "mobilenetv2-0.35")),
    ],
)
def test_which_network_is_meant(monkeypatch, typed, installed, expected):
    monkeypatch.setattr("pipeline.models.efficientnet_lite.find_weights", lambda: "file" if installed else None)
    options = parse(["train", *typed.split()])
    assert (few_photos.wanted(options), options.model) == expected


def test_photos_become_a_network_and_an_honest_figure(command, tmp_path, capsys):
    assert main(command) == 0
    said = capsys.readouterr().out
    entries = json.loads((tmp_path / "out" / "history.json").read_text())
    found = History.read(tmp_path / "out").out_of_fold
    assert found.images == entries["images"]["training"] == 33
    assert found.low < found.accuracy < found.high
    assert f"Accuracy {found.accuracy:.1%} on 33 photos" in said
    assert found.suspects[0].path == "sky/3.png"
    assert found.suspects[0].taken_for == "brick"
    assert "sky/3.png: looks like brick" in said
    assert "What would help:" in said
    assert found.plain_accuracy > 0.9  # a class is a color here, and nothing else
    assert "Mean color and contrast alone tell" in said
    assert {row.name for row in found.classes} == set(COLORS)
    assert main(["evaluate", str(tmp_path / "out" / "model.keras"), "--on", "validation"]) == 0
    shown = f"{entries['validation_accuracy']:.2%}"
    assert shown in capsys.readouterr().out
    first = (tmp_path / "out" / "history.json").read_bytes()
    assert main(command) == 0
    again = (tmp_path / "out" / "history.json").read_bytes()
    assert json.loads(again)["out_of_fold"] == json.loads(first)["out_of_fold"]


@pytest.fixture
def exported(tmp_path):
    """A folder as the commands leave it, with the history of a training on few photos."""
    folder = measured_folder.write(tmp_path / "build")
    suspect = {"path": "ant/<i>.jpg", "label": "ant", "probability": 0.04, "taken_for": "bee"}
    found = {"accuracy": 0.9, "images": 40, "low": 0.77, "high": 0.96, "folds": 10, "repeats": 1, "look_alike": 4}
    found |= {"curve": [{"photos_a_class": 9, "accuracy": 0.8}], "gain_of_twice": 0.031, "suspects": [suspect]}
    found |= {"classes": [{"name": "ant", "photos": 20, "found": 17, "taken_for": "bee"}]}
    sha256 = artifacts.sha256((folder / artifacts.MODEL_KERAS).read_bytes())
    artifacts.write_json(folder / artifacts.HISTORY, {"model_sha256": sha256, "out_of_fold": found})
    return folder


def test_the_report_says_how_good_and_what_would_help(exported):
    report(exported)
    page = (exported / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    for text in ("90.0%", "77.0% to 96.0%", "about 3.1 points", "ant/&lt;i&gt;.jpg", "85.0%", "4 photos look like"):
        assert text in page
    artifacts.write_json(exported / artifacts.HISTORY, {"model_sha256": "0" * 64})
    report(exported)  # the history of another model counts for nothing
    assert "What would help" not in (exported / artifacts.REPORT_PAGE).read_text(encoding="utf-8")


@pytest.fixture
def called(monkeypatch):
    """The commands that were run, none of them in earnest; ``called.statuses`` says how each ended."""

    class Called(list):
        statuses = {}  # noqa: RUF012 - of this one test
        writes = True

    done = Called()

    def call(command, **_):
        done.append(command[2:])
        if command[3] == "export" and done.writes:
            folder = Path(command[command.index("--out") + 1])
            artifacts.write_bytes(folder / artifacts.VERIFY, (folder / artifacts.VERIFY).read_bytes())
        return type("Done", (), {"returncode": done.statuses.get(command[3], 0)})

    monkeypatch.setattr(photos_command.subprocess, "run", call)
    return done


@pytest.mark.parametrize(
    ("statuses", "status", "run"),
    [
        ({}, 0, 5),
        ({"train": 2}, 2, 1),
        ({"train": 1}, 1, 1),
        ({"bench": 1}, 1, 3),
        ({"report": 1}, 1, 4),
        ({"bundle": 1}, 1, 5),
        ({"export": 1}, 1, 5),
        ({"bench": 2}, 2, 3),
        ({"bundle": 2}, 1, 5),
        ({"train": -2}, 130, 1),
    ],
)
def test_one_command_goes_all_the_way(exported, called, capsys, statuses, status, run):  # noqa: PLR0913, PLR0917 - a table
    called.statuses = statuses
    assert main(["photos", "my photos", "--out", str(exported), "--skip-bad"]) == status
    assert len(called) == run
    assert called[0] == ["pipeline", "train", "--data", "my photos", "--out", str(exported), "--skip-bad"]
    shown = capsys.readouterr()
    assert ("Accuracy: 90.0% on 40 photos" in shown.out) == (run == 5)
    assert ("no bundle was written" in shown.err) == ("bundle" in statuses)
    for module, *command in called:  # they understand it
        assert {"pipeline": parse, "runtime": runtime_cli.parse}[module](command).run


def test_an_export_that_wrote_nothing_stops(exported, called):
    called.statuses, called.writes = {"export": 1}, False
    assert main(["photos", "my photos", "--out", str(exported)]) == 1
    assert [command[1] for command in called] == ["train", "export"]
