"""The report shows photos: wrong predictions, photos with suspicious labels, and some of each class."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import measured_folder
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.report import mistakes, page, report
from pipeline.report.contact_sheets import CLASSES, PHOTOS
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.verdicts import accuracies

COLORS = {"ant": (200, 30, 30), "bee": (30, 30, 200)}
SIDE, A_CLASS = 16, 14


def paint(folder):
    """Fourteen photos per class; each class has its own color."""
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for number in range(A_CLASS):
            Image.new("RGB", (40, 30), (color[0], 8 * number, color[2])).save(folder / name / f"{number:02}.png")
    return folder


def suspect(path, own, other):
    return {"path": path, "label": own, "probability": 0.07, "taken_for": other}


def write(build, photos):
    """An export of a model that was fitted to these photos."""
    measured_folder.write(build)
    entries = measured_folder.history()
    entries["class_names"] = list(COLORS)
    entries["photos"] = {"side": SIDE, "fill": [255, 255, 255]}
    entries["data"] = str(photos)
    entries["out_of_fold"] = {
        "accuracy": 0.9, "images": 28, "low": 0.7, "high": 0.97, "folds": 10, "repeats": 1, "look_alike": 2,
        "between_classes": [["ant/00.png", "bee/00.png"]],
        "suspects": [suspect("ant/03.png", "ant", "bee"), suspect("bee/gone.png", "bee", "ant"),
                     suspect("../build/secret.png", "bee", "ant")],
        "single_numbers": [{"name": "brightness", "accuracy": 0.9, "images": 28, "low": 0.7, "high": 0.97,
                            "chance": 0.5, "lowest": "bee", "lowest_median": 60.0, "highest": "ant",
                            "highest_median": 120.25}],
        "classes": [{"name": name, "photos": 14, "found": 13} for name in COLORS],
    }  # fmt: skip
    artifacts.write_json(build / artifacts.HISTORY, entries)
    Image.new("RGB", (8, 8)).save(build / "secret.png")
    return build


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """The page."""
    root = tmp_path_factory.mktemp("photos")
    return page(gather(write(root / "build", paint(root / "photos"))))


@pytest.fixture
def photos(tmp_path):
    return paint(tmp_path / "photos")


@pytest.fixture
def folder(tmp_path, photos):
    return write(tmp_path / "build", photos)


def pictures(section):
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
            for text in re.findall(r'src="data:image/\w+;base64,([^"]+)"', section)]  # fmt: skip


def section(text, name):
    return text.partition(f'id="{name}"')[2].partition("</section>")[0]


def test_wrong_images_stand_beside_where_the_network_looked(text):
    found = section(text, "mistakes")
    assert len(pictures(found)) == 2
    assert "is wrong on 5 of 30 test images" in found
    assert "ant, taken for &lt;script&gt;" in found
    assert "94%, ant 6%" in found
    assert "ant/&lt;b&gt;3&lt;/b&gt;.jpg" in found


@pytest.mark.parametrize("entry", ["model_sha256", "images_digest"])
def test_mistakes_of_another_model_or_other_images_do_not_count(folder, entry):
    path = folder / artifacts.MISTAKES
    artifacts.write_json(path, artifacts.read_json(path) | {entry: "0" * 64})
    assert gather(folder).mistakes is None
    assert mistakes.sections(gather(folder)) == []


def test_suspects_are_shown_as_the_network_saw_them_and_those_that_are_gone_are_named(text):
    found = section(text, "suspects")
    (shown,) = pictures(found)
    assert shown.size == (SIDE, SIDE)
    assert np.abs(np.array(shown.getpixel((8, 8))) - (200, 24, 30)).max() < 12
    assert "ant? looks like bee" in found
    assert "ant 7.0%" in found
    assert "2 of these photos have been moved or deleted" in found
    for gone in ("bee/gone.png", "../build/secret.png"):
        assert f">{gone}<" in found


def test_each_class_has_a_sheet_of_twelve(text):
    found = section(text, "classes")
    assert len(pictures(found)) == 2 * PHOTOS
    assert "ant: 12 of 14 photos" in found
    assert 'alt="bee/00.png"' in found
    assert CLASSES == 10


def test_photos_that_are_gone_are_said_to_be(folder, photos):
    photos.rename(photos.with_name("elsewhere"))
    text = page(gather(folder))
    assert f"{photos}: the photos of the training are not there" in section(text, "classes")
    assert ">ant/03.png<" in section(text, "suspects")
    assert "have been moved or deleted" in section(text, "suspects")
    assert 'id="alike"' not in text


def test_pairs_that_look_alike_in_different_classes_are_shown(text):
    found = section(text, "alike")
    assert len(pictures(found)) == 2
    assert "ant/00.png" in found
    assert "bee/00.png" in found


def test_a_check_on_a_handful_of_photos_does_not_stand_beside_the_accuracy(folder):
    rewritten = artifacts.read_json(folder / artifacts.VERIFY) | {"images": 29}
    artifacts.write_json(folder / artifacts.VERIFY, rewritten)
    assert accuracies(gather(folder)) == []


def test_accuracy_stands_above_the_verdicts_with_its_interval(text, folder):
    top = text.partition("<nav")[0]
    accuracy, verdicts = top.split('<div class="verdicts">')[1:]
    assert '<p class="word">90%</p>' in accuracy
    assert "of 28 photos" in accuracy
    assert "70% to 97%" in accuracy
    assert '<p class="word">83%</p>' in accuracy
    assert "By the Keras model on 30 test images; 95 % interval 66% to 93%." in accuracy
    assert re.findall(r"<h2>(.*?)</h2>", accuracy) == ["Accuracy", "Check on test images held out"]
    assert "Quote the first accuracy, of the 28 photos that were learned from: this one, of 30 others, " in accuracy
    assert "Pass" not in accuracy
    assert "Pass" in verdicts
    assert markdown(gather(folder)).startswith("**Accuracy: 90%** of 28 photos")


def test_what_alone_predicts_the_class_is_said(text):
    found = section(text, "help")
    assert "The brightness of a photo alone tells 90% of 28 apart (70% to 97%; guessing tells 50%)" in found
    assert "its median is 60 of 255 in bee and 120 of 255 in ant." in found


def test_the_page_stays_small(folder, photos):
    random = np.random.default_rng(0)
    rows = []
    for name in COLORS:
        for number in range(A_CLASS):
            noise = random.integers(0, 256, (300, 400, 3), np.uint8)
            Image.fromarray(noise).save(photos / name / f"{number:02}.png", compress_level=0)
            rows.append(suspect(f"{name}/{number:02}.png", name, "bee"))
    entries = json.loads((folder / artifacts.HISTORY).read_text())
    entries["photos"]["side"] = 256
    entries["out_of_fold"]["suspects"] = rows
    artifacts.write_json(folder / artifacts.HISTORY, entries)
    assert len(History.read(folder).out_of_fold.suspects) > 24
    report(folder)
    text = (folder / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    assert len(pictures(section(text, "suspects"))) == 24
    assert len(text) < 3_000_000
