"""Training, validation and test: which photos go where."""

import numpy as np
import pytest
from PIL import Image

from painted_photos import paint, squares
from pipeline.data.folder import load
from pipeline.data.photo_settings import BY_PICTURE, Settings
from pipeline.errors import ClassesError
from runtime.photo_files import tally

SKIP = Settings(skip_bad=True)


def test_a_folder_a_class_is_divided_by_class(photos):
    loaded = load(photos, Settings(side=16, validation_share=0.2))
    assert loaded.training.class_names == ("cat", "dog")
    assert np.bincount(loaded.training.labels).tolist() == [16, 8]
    assert np.bincount(loaded.validation.labels).tolist() == [4, 2]
    assert loaded.test is None
    assert loaded.skipped == ()
    assert not squares(loaded.training) & squares(loaded.validation)


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
    assert [str(left) for left in loaded.skipped] == ["train/dog/3.png: the same picture as val/dog/copied.png"]
    assert tally(loaded.skipped) == "left out: 1 copied from another part"
    assert len(loaded.training) == 29
    assert len(loaded.validation) == 3


def test_an_empty_validation_folder_is_refused(photos):
    (photos / "train").mkdir()
    for name in ("cat", "dog"):
        (photos / name).rename(photos / "train" / name)
        (photos / "val" / name).mkdir(parents=True)
    with pytest.raises(ClassesError, match="no picture for val in the class cat, dog"):
        load(photos)
