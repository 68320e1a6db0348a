"""Which files are photos, how they are read, and how the others are reported."""

import os
import sys
from dataclasses import asdict

import pytest
from PIL import Image

from painted_photos import paint, squares
from pipeline import artifacts
from pipeline.data import folder
from pipeline.data.folder import load
from pipeline.data.photo_cache import BROKEN
from pipeline.data.photo_settings import BY_PICTURE, Settings, recorded, spec_beside
from pipeline.data.scan import NO_CLASS, scan
from pipeline.errors import DataError, UnusablePhotosError
from runtime.image.load import load_pixels
from runtime.photo_files import HEIC, HIDDEN, LINKED, OTHER, UNREADABLE, tally

SKIP = Settings(skip_bad=True)


def test_squares_are_what_the_device_sees(photos):
    settings = Settings(side=16, resize="pad", fill=(1, 2, 3))
    loaded = load(photos, settings)
    expected = {
        load_pixels(path, settings.spec(("cat", "dog"))).tobytes() for path in photos.rglob("*.png") if path.is_file()
    }
    assert squares(loaded.training) | squares(loaded.validation) == expected


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
        skipped = {left.path: (left.kind, left.reason) for left in loaded.skipped}
        assert skipped.pop("dog/empty.jpg")[0] == BROKEN
        assert skipped == {
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
    assert tally(loaded.skipped) == "left out: 1 hidden, 1 other (readme.txt)"


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
        assert {left.kind for left in skipped.skipped} == {HEIC}
    loaded = load(photos)
    assert len(loaded.training) + len(loaded.validation) == 45


def test_links_to_folders_elsewhere_are_followed(photos, tmp_path):
    for number in range(5):
        paint(tmp_path / "elsewhere" / f"{number}.png", 500 + number)
    (photos / "bird").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert load(photos).training.class_names == ("bird", "cat", "dog")


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


def test_a_long_list_is_cut():
    skipped = [folder.SkippedEntry(str(number), BROKEN, "bad") for number in range(50)]
    assert folder.format_skipped(skipped).endswith("… and 40 more")


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
