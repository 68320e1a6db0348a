"""Which files of a folder are photos: a table of names and contents, and unusual folders."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from runtime.photo_files import HEIC, HIDDEN, LINKED, OTHER, UNREADABLE, SkippedEntry, list_photos, tally

JPEG, HEIF, MP4 = b"\xff\xd8\xff\xe0 a photo", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypisom\0\0\0\0"
PHOTOS = {
    "a.jpg": JPEG,
    "b.JPG": JPEG,
    "c.jpeg": b"broken: the decoder says so",
    "empty.png": b"",
    "d.HEIC": HEIF,
    "e.heif": JPEG,
    "f.avif": JPEG,
    "no extension": JPEG,
    "IMG_0007": HEIF,
    "ends in a dot.": JPEG,
    "$name.webp": JPEG,
}
LEFT_OUT = {
    "._a.jpg": HIDDEN,
    ".DS_Store": HIDDEN,
    ".coming.jpg": HIDDEN,
    "Thumbs.db": HIDDEN,
    "desktop.ini": HIDDEN,
    "Icon\r": HIDDEN,
    "notes.txt": OTHER,
    "a.jpg.part": OTHER,
    "movie": OTHER,
    "README": OTHER,
    "clip.mov": OTHER,
}


def write(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(PHOTOS.get(name, MP4))


def found(folder, **options):
    listing = list_photos(folder, **options)
    return [os.path.relpath(photo.path, folder) for photo in listing.photos], listing.skipped


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_are_told_by_name_or_first_bytes(tmp_path, name):
    write(tmp_path, [name])
    listing = list_photos(tmp_path)
    status = (tmp_path / name).stat()
    assert listing.photos == [(str(tmp_path / name), status.st_size, status.st_mtime_ns)]
    assert listing.skipped == []


@pytest.mark.parametrize(("name", "kind"), LEFT_OUT.items())
def test_what_is_no_photo_is_left_out_and_named(tmp_path, name, kind):
    write(tmp_path, [name])
    photos, skipped = found(tmp_path)
    assert photos == []
    assert [(left.path, left.kind) for left in skipped] == [(str(tmp_path / name), kind)]


@pytest.mark.parametrize("name", ["__MACOSX", ".hidden", "@eaDir", "$RECYCLE.BIN", "System Volume Information"])
def test_hidden_folders_are_not_entered(tmp_path, name):
    write(tmp_path / name, ["a.jpg", "._a.jpg"])
    photos, skipped = found(tmp_path)
    assert (photos, [left.kind for left in skipped]) == ([], [HIDDEN])


def test_a_hidden_folder_that_is_named_is_listed(tmp_path):
    write(tmp_path / ".cache", ["a.jpg"])
    assert found(tmp_path / ".cache")[0] == ["a.jpg"]


def test_folders_are_searched_to_the_bottom_in_the_order_of_paths(tmp_path):
    for place in ("", "b/deep", "a", "c"):
        write(tmp_path / place, ["a.jpg", "d.HEIC"])
    photos, _ = found(tmp_path)
    assert photos == ["a.jpg", "a/a.jpg", "a/d.HEIC", "b/deep/a.jpg", "b/deep/d.HEIC", "c/a.jpg", "c/d.HEIC", "d.HEIC"]
    assert found(tmp_path, deep=False) == (["a.jpg", "d.HEIC"], [])


def test_paths_begin_with_the_folder_as_it_was_given(tmp_path, monkeypatch):
    write(tmp_path / "photos", ["a.jpg"])
    monkeypatch.chdir(tmp_path)
    assert [photo.path for photo in list_photos(".").photos] == ["photos/a.jpg"]
    assert [photo.path for photo in list_photos("photos/").photos] == ["photos/a.jpg"]
    assert [photo.path for photo in list_photos("./photos").photos] == ["photos/a.jpg"]


def test_links_are_followed_each_folder_once(tmp_path):
    write(tmp_path / "elsewhere", ["a.jpg", "b.JPG"])
    root = tmp_path / "root"
    write(root / "real", ["a.jpg"])
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(tmp_path / "elsewhere")
    (root / "a link to real").symlink_to(root / "real")
    (root / "file.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    photos, skipped = found(root)
    assert photos == ["away/a.jpg", "away/b.JPG", "file.jpg", "real/a.jpg"]
    assert [(Path(left.path).name, left.kind) for left in skipped] == [
        ("a link to real", LINKED),
        ("loop", LINKED),
    ]


def test_folders_that_link_to_each_other_end(tmp_path):
    """Two links a level would be 2 ** 40 paths."""
    for level in range(40):
        place = tmp_path / str(level)
        place.mkdir()
        for side in "lr":
            (place / side).symlink_to(tmp_path / str(level + 1))
    write(tmp_path / "40", ["a.jpg"])
    assert len(found(tmp_path)[0]) == 1


def test_what_looks_like_a_photo_and_cannot_be_read_is_told(tmp_path):
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "dead.txt").symlink_to(tmp_path / "nowhere.txt")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    _, skipped = found(tmp_path)
    assert {Path(left.path).name: left.kind for left in skipped} == {
        "dead.jpg": UNREADABLE, "dead.txt": OTHER, "pipe.jpg": UNREADABLE, "pipe": OTHER
    }  # fmt: skip
    reasons = {Path(left.path).name: left.reason for left in skipped}
    assert reasons["dead.jpg"] == "No such file or directory"
    assert reasons["pipe.jpg"] == "a pipe, not a regular file"
    assert [left.looks_like_photo for left in skipped] == [left.kind == UNREADABLE for left in skipped]


@pytest.fixture
def refused(monkeypatch):
    """A function that makes the system refuse to list a folder, as for users without permission."""
    scandir = os.scandir

    def refuse(folder):
        def scan(path):
            if os.fspath(path) == os.fspath(folder):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", scan)

    return refuse


def test_a_folder_that_cannot_be_read_is_told(tmp_path, refused):
    write(tmp_path / "open", ["a.jpg"])
    write(tmp_path / "locked", ["a.jpg"])
    refused(tmp_path / "locked")
    photos, skipped = found(tmp_path)
    assert photos == ["open/a.jpg"]
    assert skipped == [SkippedEntry(str(tmp_path / "locked"), UNREADABLE, "folder cannot be read (Permission denied)")]
    assert found(tmp_path / "locked")[1] == skipped


def test_a_folder_deeper_than_a_path_can_be_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Image.new("RGB", (2, 2)).save("a.png")
    monkeypatch.chdir(tmp_path)
    _, skipped = found(tmp_path)
    assert [left.kind for left in skipped] == [UNREADABLE]


@pytest.mark.skipif(sys.platform != "linux", reason="only there file names are any bytes")
def test_names_of_any_bytes_are_listed(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(JPEG)
    (tmp_path / "new\nline.jpg").write_bytes(JPEG)
    assert len(list_photos(tmp_path).photos) == 2


def test_the_tally_counts_kinds_and_names_what_a_person_may_miss():
    skipped = [
        *(SkippedEntry(f"d/._{number}", HIDDEN) for number in range(12)),
        *(SkippedEntry(f"d/{number}.HEIC", HEIC, "pip install pillow-heif") for number in range(3)),
        *(SkippedEntry(f"d/{number}.t\x1bt", OTHER) for number in range(30)),
        SkippedEntry("d/locked", UNREADABLE, "folder cannot be read (Permission denied)"),
    ]
    assert tally(skipped, "d") == (
        "left out: 1 unreadable (locked), 3 HEIC (0.HEIC, 1.HEIC, 2.HEIC: pip install pillow-heif), 12 hidden, "
        r"30 other (0.t\x1bt, 1.t\x1bt, 2.t\x1bt, 3.t\x1bt, 4.t\x1bt, 5.t\x1bt, 6.t\x1bt, 7.t\x1bt, 8.t\x1bt, "
        r"9.t\x1bt and 20 more)"
    )
    assert tally([]) == ""
