"""The cache of decoded photos: it avoids decoding, and never returns damaged pixels."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.artifacts import sha256
from pipeline.data import photo_cache
from pipeline.data.folder import load
from pipeline.data.photo_settings import BY_PICTURE, Settings
from runtime.image.load import load_pixels


@pytest.fixture(autouse=True)
def places(tmp_path_factory, monkeypatch):
    """A new cache folder, with a subfolder for each combination of photo folder and options."""
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EDGECNN_DATA", str(root))
    return root / "photos"


def paint(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    """Twenty cats and ten dogs."""
    root = tmp_path / "photos"
    for number in range(30):
        paint(root / ("cat" if number < 20 else "dog") / f"{number}.png", number)
    return root


def squares(dataset):
    return {square.tobytes() for square in dataset.pixels}


def count_decodes(monkeypatch):
    decoded = []
    monkeypatch.setattr(photo_cache, "load_pixels", lambda path, spec: decoded.append(path) or load_pixels(path, spec))
    return decoded


def test_every_photo_is_decoded_once(photos, monkeypatch):
    decoded = count_decodes(monkeypatch)
    first = load(photos)
    assert len(decoded) == 30
    again = load(photos)
    assert len(decoded) == 30
    assert first.training.digest == again.training.digest
    load(photos, Settings(side=64))
    assert len(decoded) == 60


def test_only_what_changed_is_decoded_again(photos, monkeypatch):
    load(photos)
    decoded = count_decodes(monkeypatch)
    paint(photos / "dog" / "23.png", 3_000)
    os.utime(photos / "dog" / "23.png", ns=(1, 1))
    paint(photos / "dog" / "more.png", 3_001)
    (photos / "dog" / "24.png").unlink()
    loaded = load(photos)
    assert {path.name for path in decoded} == {"23.png", "more.png"}
    expected = {load_pixels(path, Settings().spec(("a", "b"))).tobytes() for path in photos.rglob("*.png")}
    assert squares(loaded.training) | squares(loaded.validation) == expected
    assert len(list((photo_cache.cache_dir() / "photos").rglob("*.u8"))) == 1


def test_an_interrupted_run_keeps_what_it_decoded(photos, monkeypatch):
    calls = []

    def interrupted(path, spec):
        calls.append(path)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return load_pixels(path, spec)

    with monkeypatch.context() as patched:
        patched.setattr(photo_cache.os, "cpu_count", lambda: 1)
        patched.setattr(photo_cache, "load_pixels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(photos)
    decoded = count_decodes(monkeypatch)
    load(photos)
    assert len(decoded) == 30 - 11


@pytest.fixture
def filled(photos, places):
    """A filled subfolder of the cache: its pixels and its index."""
    load(photos)
    return next(places.glob("*/*.u8")), next(places.glob("*/index.json"))


def rows(change):
    """A damage to the index: ``change`` to the first of its rows."""

    def damage(_, index):
        content = json.loads(index.read_text())
        first = next(iter(content["rows"]))
        content["rows"][first] = change(content["rows"][first])
        index.write_text(json.dumps(content))

    return damage


def text(before, after):
    """A damage to the index as it is written, with a line for each photo."""

    def damage(_, index):
        content = index.read_text()
        changed = re.sub(before, after, content, count=1)
        assert changed != content
        index.write_text(changed)

    return damage


def squares_from(start, content):
    def damage(path, _):
        whole = path.read_bytes()
        path.write_bytes(whole[:start] + content + whole[start + len(content) :])

    return damage


SQUARE = 32 * 32 * 3
DAMAGES = {
    "one byte": (squares_from(5 * SQUARE + 7, b"\0\xff\0"), 1),
    "zeros over two": (squares_from(SQUARE - 10, bytes(20)), 2),
    "cut in the last": (lambda path, _: os.truncate(path, 30 * SQUARE - 1), 1),
    "cut": (lambda path, _: os.truncate(path, 1_000), 30),
    "emptied": (lambda path, _: os.truncate(path, 0), 30),
    "row beyond the end": (rows(lambda row: [10**6, row[1]]), 1),
    "row before the start": (rows(lambda row: [-1, row[1]]), 1),
    "row of another": (rows(lambda row: [row[0] + 1, row[1]]), 1),
    "digest": (rows(lambda row: [row[0], "x"]), 1),
    "no row": (rows(lambda _: None), 30),
    "an empty row": (rows(lambda _: []), 30),
    "row beyond the end without a digest": (rows(lambda _: [10**6, ""]), 1),
    "row of texts": (rows(lambda _: ["a", "b"]), 30),
    "no JSON": (lambda _, index: index.write_text("{"), 30),
    "nested deep": (lambda _, index: index.write_text("[" * 100_000), 30),
    "digest in a line": (text(r'"[0-9a-f]{60}', '"' + "0" * 60), 1),
    "row in a line": (text(r": \[3, ", ": [99, "), 1),
    "no number in a line": (text(r": \[3, ", ': ["x", '), 30),
    "no JSON in a line": (text(r": \[3, ", " [3, "), 30),
    "cut in a line": (text(r"(?s).{20}$", ""), 30),
    "cut behind a line": (text(r"(?s)\n}}\n$", "\n"), 30),
    "a list": (lambda _, index: index.write_text("[]"), 30),
    "no entries": (lambda _, index: index.write_text("{}"), 30),
    "no UTF-8": (lambda _, index: index.write_bytes(b"\xff\xfe\xfd"), 30),
}


@pytest.mark.parametrize(("damage", "lost"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_said_and_decoded_anew(photos, filled, monkeypatch, capsys, damage, lost):  # noqa: PLR0913, PLR0917
    before = load(photos)
    damage(*filled)
    decoded = count_decodes(monkeypatch)
    capsys.readouterr()
    after = load(photos)
    assert len(decoded) == lost
    assert (after.training.digest, after.validation.digest) == (before.training.digest, before.validation.digest)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cache of photos")]
    assert len(said) == 1
    assert "damaged" in said[0]
    load(photos)
    assert len(decoded) == lost
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_that_is_gone_is_made_anew(photos, filled, monkeypatch, number):
    filled[number].unlink()
    decoded = count_decodes(monkeypatch)
    load(photos)
    assert len(decoded) == 30


def test_squares_are_looked_at_once_a_process(photos, monkeypatch):
    load(photos, Settings(division=BY_PICTURE))
    looked_at = []

    def counting(content):
        looked_at.append(memoryview(content).nbytes)
        return sha256(content)

    monkeypatch.setattr(photo_cache, "sha256", counting)
    for _ in range(3):
        load(photos)
    assert looked_at.count(SQUARE) == 30


def test_another_decoder_decodes_anew(photos, monkeypatch, capsys):
    load(photos)
    monkeypatch.setattr(photo_cache.PIL, "__version__", "1.0")
    decoded = count_decodes(monkeypatch)
    capsys.readouterr()
    load(photos)
    assert len(decoded) == 30
    assert "damaged" not in capsys.readouterr().err


def test_places_of_earlier_versions_are_removed_and_nothing_else(photos, places, capsys, monkeypatch):
    monkeypatch.setattr(photo_cache, "VERSION", 3)
    old, newer = ["0" * 32, f"v1-{'0' * 32}", f"v2-{'1' * 32}"], [f"v3-{'2' * 32}", f"v4-{'3' * 32}"]
    mine = ["holiday", "v1", "0" * 31, "0" * 64]
    for name in (*old, *newer, *mine):
        (places / name).mkdir(parents=True)
        (places / name / "index.json").touch()
        (places / name / "abc.u8").touch()
    (places / old[1] / "not ours.txt").touch()
    (places / ("4" * 32)).symlink_to(places / "holiday")
    load(photos)
    kept = {path.name for path in places.iterdir()}
    assert kept >= {*newer, *mine, "4" * 32, old[1]}
    assert not kept & {old[0], old[2]}
    assert [path.name for path in (places / old[1]).iterdir()] == ["not ours.txt"]
    assert "3 folders of an earlier version removed" in capsys.readouterr().err


def test_the_version_stands_for_these_squares():
    """If this fails, photos give other pixels than before: raise ``VERSION`` and store the new digest."""
    random = np.random.default_rng(0)
    made = []
    for mode, shape in (("RGB", (50, 70, 3)), ("L", (64, 33)), ("RGBA", (40, 40, 4)), ("I;16", (45, 61))):
        kind = np.uint16 if mode == "I;16" else np.uint8
        image = Image.fromarray(random.integers(0, np.iinfo(kind).max, shape, kind))
        for resize in ("stretch", "crop", "pad"):
            spec = Settings(side=16, resize=resize, resize_filter="bilinear").spec(("a", "b"))
            made.append(load_pixels(image, spec))
    assert (photo_cache.VERSION, sha256(np.stack(made).tobytes())[:16]) == (1, "91c8cc8e0c213274")


def test_the_place_is_named_by_version_folder_and_way(photos, places):
    load(photos)
    load(photos, Settings(side=64))
    assert all(re.fullmatch(r"v1-[0-9a-f]{32}", path.name) for path in places.iterdir())
    assert len(list(places.iterdir())) == 2
