"""The division of the loop's photos, the order of the labels, and the table."""

import json

import numpy as np
from PIL import Image

from docs.figures.documents import marked
from docs.figures.field_loop import photos, run
from docs.figures.field_loop.photos import NONE, divide
from docs.figures.field_loop.run import label
from docs.figures.field_loop.table import DOCUMENT, FIGURES, loop_table
from pipeline import artifacts


def paint(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def folders(place):
    for number in range(6):
        for seed, name in ((0, "ants"), (1000, "bees")):
            paint(place / "photos" / "train" / name / f"{number}.jpg", seed + number)
        paint(place / "photos" / "val" / "ants" / f"{number}.jpg", number + 2000)
        paint(place / "others" / f"{number}_tench.jpg", number + 3000)
    paint(place / "others" / "an_ant.jpg", 4000)
    (place / "photos" / "train" / "ants" / "placeholder.jpg").write_bytes(b"GIF89a")
    return place / "photos", place / "others"


def test_no_photo_is_seen_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "A_CLASS", 4)
    division = divide(*folders(tmp_path), seed=0)
    assert [photo.label for photo in division.training] == ["ants"] * 4 + ["bees"] * 4
    assert sorted(photo.label for photo in division.seen) == ["ants"] * 2 + ["bees"] * 2 + [NONE] * 4
    assert len(division.unknown) == 2
    paths = [photo.path for part in vars(division).values() for photo in part]
    assert len(paths) == len(set(paths)) == 8 + 8 + 6 + 2
    assert not any(path.name in {"an_ant.jpg", "placeholder.jpg"} for path in paths)


def test_labels_are_those_of_the_photos_that_the_page_shows_first(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "A_CLASS", 4)
    monkeypatch.setattr(run, "LABELS", 2)
    division = divide(*folders(tmp_path), seed=0)
    frames = tmp_path / "frames"
    frames.mkdir()
    margins = [0.9, 0.1, 0.5, 0.8]
    for number, margin in enumerate(margins):
        stem = frames / f"{number * 9 + 1:08}-20261127T140211Z-unsure"
        stem.with_suffix(".jpg").write_bytes(division.seen[number].frame)
        top = [{"label": "ants", "probability": margin}, {"label": "bees", "probability": 0.0}]
        stem.with_suffix(".json").write_text(json.dumps({"reason": "unsure", "top": top}))
    assert label(frames, tmp_path / "labeled", division) == [division.seen[1], division.seen[2]]


def test_the_document_shows_the_kept_figures(repository):
    found = artifacts.read_json(repository / FIGURES)
    assert marked("field-loop", loop_table(found)) in (repository / DOCUMENT).read_text(encoding="utf-8")


def test_the_table_has_each_share_with_its_interval():
    before = {
        "right": 90,
        "photos": 100,
        "unknown": 5,
        "strangers_rejected": 20,
        "strangers": 200,
        "strangers_labeled": 0,
    }
    loop = before | {"right": 95, "strangers_labeled": 12}
    loop["against_before"] = {"p_value": 0.0625, "only_new": 6, "only_old": 1}
    seen = {"photos": 150, "known": 120, "strangers": 160, "strangers_known": 40}
    found = {"labels": 30, "kept": 77, "seen": seen, "before": before, "loop": loop, "random": [before, loop]}
    said = loop_table(found)
    assert "95.0% of 100 (88.8% to 97.8%)" in said
    assert "10.0% of 200" in said
    assert "better than 1 of these draws in the first and than 0" in said
    assert "p = 0.06" in said
