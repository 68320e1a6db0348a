"""Images with several labels check the input contract of a multi-label model, by macro F1."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.data.dataset import Dataset, without_labels
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PRESETS, UNIT_SCALING, PixelScaling
from pipeline.metrics.multi_label import macro_f1, permutation_p_value
from pipeline.verify.input_contract import CLASSES, check_arrays, check_photos
from pipeline.verify.input_contract.class_order import output_of_label
from runtime.spec import ModelSpec
from tests.pipeline.test_multi_label import NAMES, painted, sees_colors

SPEC = ModelSpec(16, NAMES)


@pytest.fixture(scope="module")
def model():
    return sees_colors()


def images(count=120):
    pixels, multi_hot = painted(count, seed=3)
    return replace(without_labels(pixels, NAMES), multi_hot=multi_hot)


def finding(model, scaling=UNIT_SCALING, names=NAMES, given=None):
    return check_arrays(Deployable(model, names, scaling), given or images(), SPEC)


def test_a_model_that_is_fed_rightly_is_not_doubted(model):
    found = finding(model)
    assert (found.accuracy, found.sentence, found.differs) == (1, "", ())


WRONG = {
    "value range": (PRESETS["none"], "--scale 1/255", {"range"}),
    "both": (PRESETS["caffe"], "--scale 1/255 --no-bgr", {"range", "bgr"}),
    "channel order": (PixelScaling(bgr=True), "--no-bgr", {"bgr"}),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_each_wrong_way_is_found(model, wrong):
    scaling, flags, differs = wrong
    found = finding(model, scaling)
    assert set(found.differs) == differs, found.sentence
    said = found.sentence.partition(" (100.0% with --preset tf")[0]  # which the images do not tell from it
    assert said == (
        f"on 120 labeled images the Keras model has a macro F1 of {found.accuracy:.1%} as it is fed, and of 100.0% "
        f"with {flags}"
    )
    assert found.contradicts(())
    assert not found.contradicts(differs)


def test_exchanged_names_are_told(model):
    names, marked = ("green", "red", "blue"), images()
    assert finding(model, names=names, given=replace(marked, class_names=names)).sentence == ""
    found = finding(
        model, names=names, given=replace(marked, multi_hot=marked.multi_hot[:, [1, 0, 2]], class_names=names)
    )
    assert found.differs == (CLASSES,)
    assert found.sentence.endswith("and of 100.0% with the names green and red exchanged in --classes")


def test_a_model_that_knows_nothing_is_not_corrected(model):
    random = np.random.default_rng(0)
    given = replace(images(), multi_hot=random.random((120, 3)) < 0.3)
    assert finding(model, PRESETS["none"], given=given).sentence == ""


@pytest.mark.slow
def test_photos_of_a_table_are_read_in_other_ways(model, tmp_path):
    rows = ["file,labels"]
    pixels, multi_hot = painted(60, seed=4)
    for number, (image, shown) in enumerate(zip(pixels, multi_hot, strict=True)):
        wide = np.zeros((16, 96, 3), np.uint8)  # a letterbox shrinks the squares until they are gone
        wide[:, 40:56] = image
        Image.fromarray(wide).save(tmp_path / f"{number:02}.png")
        rows.append(f"{number:02}.png,{';'.join(name for name, one in zip(NAMES, shown, strict=True) if one)}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = check_photos(Deployable(model, NAMES), tmp_path, replace(SPEC, resize="pad", fill=(0, 0, 0)))
    assert found.sentence.endswith("with --resize crop")
    assert set(found.differs) == {"resize"}
    assert check_photos(Deployable(model, NAMES), tmp_path, replace(SPEC, resize="crop")).sentence == ""


def test_photos_in_class_folders_show_one_label(model, tmp_path):
    for label, name in enumerate(NAMES):
        (tmp_path / name).mkdir()
        for number in range(20):
            image = np.full((16, 16, 3), 40, np.uint8)
            image[4:8, 4:8, label] = 160 + number
            Image.fromarray(image).save(tmp_path / name / f"{number}.png")
    assert check_photos(Deployable(model, NAMES), tmp_path, SPEC).accuracy == 1
    found = check_photos(Deployable(model, NAMES, PRESETS["none"]), tmp_path, SPEC)
    assert "with --scale 1/255 (100.0% with" in found.sentence, found.sentence
    assert found.sentence.endswith("the photos do not tell these apart)")


def test_images_without_labels_judge_nothing(model):
    assert finding(model, given=without_labels(images().pixels, NAMES)) is None
    assert finding(model, given=Dataset(images().pixels, np.zeros(120, int), NAMES)) is not None


def test_a_permutation_test_knows_chance():
    random = np.random.default_rng(5)
    truth = random.random((200, 4)) < 0.3
    noisy, other, clear = (truth ^ (random.random((200, 4)) < share) for share in (0.2, 0.2, 0.02))
    assert permutation_p_value(clear, noisy, truth) < 0.001
    assert permutation_p_value(noisy, clear, truth) > 0.999
    assert permutation_p_value(noisy, noisy, truth) == 1
    better, worse = sorted((noisy, other), key=lambda decided: -macro_f1(decided, truth))
    assert 0.05 < permutation_p_value(better, worse, truth) < 0.5


def test_p_values_of_equally_good_decisions_are_even():
    random = np.random.default_rng(6)
    p_values = []
    for _ in range(30):
        truth = random.random((60, 3)) < 0.4
        first, second = (truth ^ (random.random((60, 3)) < 0.25) for _ in range(2))
        p_values.append(permutation_p_value(first, second, truth))
    assert 0.3 < np.mean(p_values) < 0.7
    assert np.mean(np.array(p_values) < 0.2) < 0.4


def test_an_order_of_labels_needs_more_than_chance():
    random = np.random.default_rng(7)
    multi_hot = random.random((100, 5)) < 0.4
    assert output_of_label(multi_hot, multi_hot, 0.01).tolist() == [0, 1, 2, 3, 4]
    assert output_of_label(multi_hot[:, [1, 2, 0, 3, 4]], multi_hot, 0.01).tolist() == [2, 0, 1, 3, 4]
    assert output_of_label(random.random((100, 5)) < 0.4, multi_hot, 0.01).tolist() == [0, 1, 2, 3, 4]
