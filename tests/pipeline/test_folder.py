import os
import sys
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts
from pipeline.data import folder
from pipeline.data.folder import class_weights, load
from pipeline.data.photo_cache import BROKEN
from pipeline.data.photo_settings import BY_PICTURE, Settings, recorded, spec_beside
from pipeline.data.scan import NO_CLASS, scan
from pipeline.errors import ClassesError, DataError, UnusablePhotosError
from runtime.image.load import load_square
from runtime.photo_files import HEIC, HIDDEN, LINKED, OTHER, UNREADABLE, tally

SKIP = Settings(skip_bad=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path_factory.mktemp("cache")))


def paint(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    """Twenty cats, some of them nested, and ten dogs."""
    root = tmp_path / "photos"
    for number in range(20):
        paint(root / "cat" / ("indoors/night" if number % 2 else ".") / f"{number}.png", number)
    for number in range(10):
        paint(root / "dog" / f"{number}.png", 100 + number)
    return root


def squares(dataset):
    return {square.tobytes() for square in dataset.pixels}


def test_a_folder_a_class_is_divided_by_class(photos):
    loaded = load(photos, Settings(side=16, validation_share=0.2))
    assert loaded.training.class_names == ("cat", "dog")
    assert np.bincount(loaded.training.labels).tolist() == [16, 8]
    assert np.bincount(loaded.validation.labels).tolist() == [4, 2]
    assert loaded.test is None
    assert loaded.left_out == ()
    assert not squares(loaded.training) & squares(loaded.validation)


def test_squares_are_what_the_device_sees(photos):
    settings = Settings(side=16, resize="pad", fill=(1, 2, 3))
    loaded = load(photos, settings)
    expected = {
        load_square(path, settings.spec(("cat", "dog"))).tobytes() for path in photos.rglob("*.png") if path.is_file()
    }
    assert squares(loaded.training) | squares(loaded.validation) == expected


def test_a_test_share_is_a_third_part(photos):
    loaded = load(photos, Settings(validation_share=0.2, test_share=0.3))
    assert [len(part) for part in (loaded.training, loaded.validation, loaded.test)] == [15, 6, 9]
    assert not squares(loaded.test) & (squares(loaded.training) | squares(loaded.validation))


def test_every_part_gets_each_class_whatever_the_shares(tmp_path):
    for first, name in ((0, "a"), (5, "b")):
        for number in range(5):
            paint(tmp_path / name / f"{number}.png", first + number)
    loaded = load(tmp_path, Settings(validation_share=0.9, test_share=0.05))
    for part in (loaded.training, loaded.validation, loaded.test):
        assert set(part.labels) == {0, 1}


def test_the_seed_fixes_the_division(photos):
    first, again, other = (load(photos, Settings(seed=seed)) for seed in (1, 1, 2))
    assert first.validation.digest == again.validation.digest != other.validation.digest


def test_new_photos_leave_the_old_ones_where_they_are(photos):
    before = load(photos)
    paint(photos / "dog" / "new.png", 999)
    after = load(photos)
    assert squares(before.validation) <= squares(after.validation) | squares(after.training)
    assert len(squares(before.validation) & squares(after.validation)) >= len(before.validation) - 1


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_a_divided_folder_stays_divided(photos, validation):
    (photos / "train").mkdir()
    for name in ("cat", "dog"):
        (photos / name).rename(photos / "train" / name)
        paint(photos / validation / name / "v.png", 200 + ord(name[0]))
        paint(photos / "test" / name / "t.png", 300 + ord(name[0]))
    loaded = load(photos)
    assert [len(part) for part in (loaded.training, loaded.validation, loaded.test)] == [30, 2, 2]


def test_train_and_test_alone_leave_validation_to_draw(photos):
    (photos / "train").mkdir()
    for name in ("cat", "dog"):
        (photos / name).rename(photos / "train" / name)
        paint(photos / "test" / name / "t.png", 300 + ord(name[0]))
    loaded = load(photos, Settings(validation_share=0.2))
    assert [len(part) for part in (loaded.training, loaded.validation, loaded.test)] == [24, 6, 2]


def test_copies_stay_on_one_side(photos):
    for original in list((photos / "dog").glob("*.png")):
        Image.open(original).save(original.with_name(f"copy_{original.stem}.png"), compress_level=1)
    loaded = load(photos, Settings(validation_share=0.4))
    assert len(loaded.training) + len(loaded.validation) == 40
    assert not squares(loaded.training) & squares(loaded.validation)


def scene(path, seed, shot):
    """One shot of a burst: blocks of color that camera noise hardly changes."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    noise = np.random.default_rng((seed, shot)).integers(-4, 5, blocks.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(blocks + noise, 0, 255).astype(np.uint8)).save(path)


def bursts(root, *sizes):
    for name, first in (("cat", 1_000), ("dog", 2_000)):
        for number, size in enumerate(sizes):
            for shot in range(size):
                scene(root / name / f"{number}-{shot}.png", first + number, shot)
    return root


def names(dataset):
    return {path.rpartition("-")[0] for path in dataset.paths}


@pytest.mark.parametrize("seed", range(4))
def test_photos_of_a_burst_stay_on_one_side(tmp_path, seed):
    root = bursts(tmp_path / "photos", 1, 2, 3, 4, 6, 8, 1, 1)
    parts = [load(root, Settings(side=side, validation_share=0.2, test_share=0.1, seed=seed)) for side in (16, 64)]
    for part in parts:
        held_out = part.validation, part.test
        assert not names(part.training) & (names(held_out[0]) | names(held_out[1]))
        assert not names(held_out[0]) & names(held_out[1])
        assert [np.bincount(each.labels).min() > 0 for each in (part.training, *held_out)] == [True] * 3
        assert len(part.training) >= 26  # half: no large burst is held out where a small one does
    assert parts[0].validation.paths == parts[1].validation.paths  # whatever side a network takes
    old = load(root, Settings(side=16, validation_share=0.2, seed=seed, division=BY_PICTURE))
    assert names(old.training) & names(old.validation)


def test_a_class_of_one_burst_is_divided_and_named(tmp_path, capsys):
    root = bursts(tmp_path / "photos", 12)
    for number in range(12):
        scene(root / "owl" / f"{number}-0.png", 3_000 + number, 0)
    loaded = load(root, Settings(validation_share=0.25))
    assert np.bincount(loaded.validation.labels).tolist() == [3, 3, 3]
    said = capsys.readouterr().err
    assert "nearly all photos of cat look alike" in said
    assert "of owl" not in said


def test_copies_across_given_parts_leave_training(photos):
    (photos / "train").mkdir()
    for name in ("cat", "dog"):
        (photos / name).rename(photos / "train" / name)
        paint(photos / "val" / name / "v.png", 200 + ord(name[0]))
    paint(photos / "val" / "dog" / "copied.png", 103)
    loaded = load(photos)
    assert [str(left) for left in loaded.left_out] == ["train/dog/3.png: the same picture as val/dog/copied.png"]
    assert tally(loaded.left_out) == "left out: 1 copied from another part"
    assert len(loaded.training) == 29
    assert len(loaded.validation) == 3


def test_one_picture_in_two_classes_is_refused(photos):
    paint(photos / "dog" / "really.png", 4)
    with pytest.raises(UnusablePhotosError, match=r"the same picture as dog/really\.png, of another class"):
        load(photos)
    loaded = load(photos, SKIP)
    assert {left.path for left in loaded.left_out} == {"cat/4.png", "dog/really.png"}
    assert len(loaded.training) + len(loaded.validation) == 29


def test_photos_that_cannot_be_read_are_refused_and_other_files_counted(photos):
    for name in ("cat/notes.txt", "labels.csv", "cat/.DS_Store", "cat/._0.png", "cat/Thumbs.db"):
        (photos / name).write_text("no image")
    (photos / "dog" / "empty.jpg").touch()
    paint(photos / "above.png", 77)
    os.mkfifo(photos / "cat" / "pipe.jpg")
    (photos / "cat" / "dead.png").symlink_to(photos / "nowhere.png")
    (photos / "cat" / "loop").symlink_to(photos / "cat", target_is_directory=True)
    with pytest.raises(UnusablePhotosError, match="4 of 34 photos cannot be used") as error:
        load(photos)
    assert "--skip-bad" in str(error.value)
    for unlisted in ("notes.txt", "DS_Store", "loop"):
        assert unlisted not in str(error.value)
    for _ in range(2):  # decoded, and out of the cache
        loaded = load(photos, SKIP)
        assert len(loaded.training) + len(loaded.validation) == 30
        left_out = {left.path: (left.kind, left.reason) for left in loaded.left_out}
        assert left_out.pop("dog/empty.jpg")[0] == BROKEN
        assert left_out == {
            "cat/notes.txt": (OTHER, ""),
            "labels.csv": (OTHER, ""),
            "cat/.DS_Store": (HIDDEN, ""),
            "cat/._0.png": (HIDDEN, ""),
            "cat/Thumbs.db": (HIDDEN, ""),
            "above.png": (NO_CLASS, "lies in no class folder"),
            "cat/pipe.jpg": (UNREADABLE, "a pipe, not a regular file"),
            "cat/dead.png": (UNREADABLE, "No such file or directory"),
            "cat/loop": (LINKED, "a link back to a folder above it"),
        }


def test_a_folder_with_nothing_but_photos_and_droppings_needs_no_option(photos):
    (photos / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    (photos / "readme.txt").touch()
    for number, name in enumerate(("cat/IMG_1", "cat/IMG_2.JPG", "cat/IMG_3.HEIC")):
        paint(photos / "new.png", 400 + number)
        (photos / "new.png").rename(photos / name)
    loaded = load(photos)
    assert len(loaded.training) + len(loaded.validation) == 33
    assert tally(loaded.left_out) == "left out: 1 hidden, 1 other (readme.txt)"


def test_a_folder_that_may_not_be_read_is_refused(photos, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("night"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnusablePhotosError, match=r"cat/indoors/night: folder cannot be read \(Permission denied\)"):
        load(photos)
    assert len(load(photos, SKIP).training) == 18


def test_heic_without_its_decoder_is_one_line_and_read_once_it_is_there(photos, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    for number in range(15):
        paint(photos / "new.png", 400 + number)
        pillow_heif.from_pillow(Image.open(photos / "new.png")).save(photos / "cat" / f"{number}.HEIC", quality=-1)
    (photos / "new.png").unlink()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(UnusablePhotosError, match="15 of 45 photos cannot be used") as error:
            load(photos)
        lines = str(error.value).splitlines()
        assert len(lines) == 3
        assert lines[1].startswith("  15 HEIC (cat/0.HEIC, ")
        assert lines[1].endswith(" and 5 more: pip install pillow-heif, or save as JPEG)")
        skipped = load(photos, SKIP)
        assert len(skipped.training) + len(skipped.validation) == 30
        assert {left.kind for left in skipped.left_out} == {HEIC}
    loaded = load(photos)
    assert len(loaded.training) + len(loaded.validation) == 45


def test_links_to_folders_elsewhere_are_followed(photos, tmp_path):
    for number in range(5):
        paint(tmp_path / "elsewhere" / f"{number}.png", 500 + number)
    (photos / "bird").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert load(photos).training.class_names == ("bird", "cat", "dog")


def test_too_few_classes_or_pictures_are_refused(photos, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClassesError, match="found no folder"):
        load(tmp_path / "empty")
    paint(tmp_path / "one" / "cat" / "0.png", 0)
    with pytest.raises(ClassesError, match="the one class 'cat'"):
        load(tmp_path / "one")
    (photos / "bird").mkdir()
    for number in range(6):
        paint(photos / "bird" / f"{number}.png", 7_000)
    with pytest.raises(ClassesError, match="at least 5 different pictures; bird has 1"):
        load(photos)


def data_set(root, *names):
    for number, name in enumerate(names):
        for photo in range(5):
            paint(root / name / f"{photo}.png", 10 * number + photo)


def test_a_folder_one_level_too_high_or_too_low_is_answered_with_the_right_one(tmp_path):
    data_set(tmp_path / "archive" / "flowers", "rose", "tulip")
    (tmp_path / "archive" / "__MACOSX").mkdir()
    flowers = tmp_path / "archive" / "flowers"
    for wrong in (tmp_path / "archive", tmp_path, flowers / "rose"):
        with pytest.raises(ClassesError, match=f"; did you mean {flowers}\\?$"):
            load(wrong)
    assert load(flowers).hint == ""


def test_data_sets_side_by_side_are_no_classes(tmp_path):
    data_set(tmp_path / "ants", "train/ant", "train/bee", "val/ant", "val/bee")
    data_set(tmp_path / "flowers", "rose", "tulip")
    with pytest.raises(
        ClassesError,
        match=f"divided into train and val, .*; did you mean {tmp_path / 'ants'} or {tmp_path / 'flowers'}\\?$",
    ):
        load(tmp_path)


def test_classes_that_hold_folders_alone_are_taken_with_a_question(tmp_path):
    data_set(tmp_path / "indoors", "cat", "dog")
    data_set(tmp_path / "outdoors", "cow", "dog")
    assert scan(tmp_path).hint.endswith(f"did you mean {tmp_path / 'indoors'}?")
    paint(tmp_path / "outdoors" / "0.png", 0)
    assert scan(tmp_path).hint == ""


def test_an_empty_validation_folder_is_refused(photos):
    (photos / "train").mkdir()
    for name in ("cat", "dog"):
        (photos / name).rename(photos / "train" / name)
        (photos / "val" / name).mkdir(parents=True)
    with pytest.raises(ClassesError, match="no picture for val in the class cat, dog"):
        load(photos)


def test_names_that_collide_are_refused(photos):
    (photos / "Cat").mkdir()
    with pytest.raises(ClassesError, match="differ in case alone"):
        load(photos)


@pytest.mark.parametrize("name", ["caf\ne", " cat", "\x1b[2Jcat", "tac\u202e", "cat\u200f"])
def test_names_that_no_label_file_can_carry_are_refused(photos, name):
    (photos / name).mkdir()
    with pytest.raises(ClassesError, match="cannot name a class"):
        load(photos)


def test_equal_names_in_different_bytes_are_refused(photos):
    (photos / "caf\u00e9").mkdir()
    (photos / "cafe\u0301").mkdir()
    with pytest.raises(ClassesError, match="in different bytes"):
        load(photos)


@pytest.mark.skipif(sys.platform != "linux", reason="only there file names are any bytes")
def test_file_names_are_any_bytes(photos):
    paint(photos / "cat" / "plain.png", 900)
    (photos / "cat" / "plain.png").rename(photos / "cat" / os.fsdecode(b"caf\xe9.png"))
    assert len(scan(photos).files) == 31
    for _ in range(2):
        loaded = load(photos)
        assert len(loaded.training) + len(loaded.validation) == 31


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 4}, "between 8 and 1024"),
        ({"side": 2048}, "between 8 and 1024"),
        ({"side": 48}, "no power of two"),
        ({"validation_share": 0.0}, "validation share"),
        ({"validation_share": 0.5, "test_share": 0.5}, "left to train on"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        Settings(**options)


def test_any_side_on_request(photos):
    assert load(photos, Settings(side=48, any_side=True)).training.side == 48


def test_class_weights_let_every_class_count_the_same():
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 2)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    assert np.mean([weights[label] for label in labels]) == pytest.approx(1)


def test_a_long_list_is_cut():
    left_out = [folder.LeftOut(str(number), BROKEN, "bad") for number in range(50)]
    assert folder.format_left_out(left_out).endswith("… and 40 more")


def test_a_history_says_how_its_photos_were_read(tmp_path):
    settings = Settings(side=64, resize="crop", seed=3)
    artifacts.write_bytes(tmp_path / artifacts.MODEL_KERAS, b"")
    entries = {"model_sha256": artifacts.sha256(b"")}
    artifacts.write_json(tmp_path / artifacts.HISTORY, {**entries, "photos": asdict(settings)})
    assert recorded(tmp_path / artifacts.MODEL_KERAS) == settings
    assert spec_beside(tmp_path / artifacts.MODEL_KERAS, 64, ("a", "b")) == settings.spec(("a", "b"))
    older = {name: value for name, value in asdict(settings).items() if name != "division"}
    artifacts.write_json(tmp_path / artifacts.HISTORY, {**entries, "photos": older})
    assert recorded(tmp_path / artifacts.MODEL_KERAS).division == BY_PICTURE  # as that model's photos were divided
    artifacts.write_json(tmp_path / artifacts.HISTORY, {**entries, "class_names": ["a", "b"]})
    with pytest.raises(DataError, match="does not say how photos were read"):
        recorded(tmp_path / artifacts.MODEL_KERAS)
    assert spec_beside(tmp_path / artifacts.MODEL_KERAS, 64, ("a", "b")).resize == "stretch"


@pytest.mark.parametrize("divided", [False, True])
def test_photos_of_anything_else_are_one_more_class(photos, tmp_path, divided):
    rest = tmp_path / "albums"
    for number in range(20):
        paint(rest / "2024" / f"{number}.png", 500 + number)
    if divided:
        for name in ("cat", "dog"):
            for number in range(6):
                paint(photos / "val" / name / f"v{number}.png", 800 + number + 50 * (name == "dog"))
            (photos / "train").mkdir(exist_ok=True)
            (photos / name).rename(photos / "train" / name)
    loaded = load(photos, Settings(side=16, none=str(rest)))
    assert loaded.training.class_names == ("cat", "dog", "none")
    assert np.bincount(loaded.training.labels)[2] == 18
    assert np.bincount(loaded.validation.labels)[2] == 2
    assert sum(path.startswith(str(rest)) for path in loaded.training.paths) == 18
    again = load(photos, Settings(side=16, none=str(rest)))
    assert (again.training.digest, again.validation.digest) == (loaded.training.digest, loaded.validation.digest)


def test_one_class_and_anything_else_are_two(photos, tmp_path):
    (photos / "dog").rename(tmp_path / "rest")
    assert load(photos, Settings(side=16, none=str(tmp_path / "rest"))).training.class_names == ("cat", "none")
    with pytest.raises(DataError, match="missing: no such folder; expected photos of anything"):
        load(photos, Settings(side=16, none=str(tmp_path / "missing")))
