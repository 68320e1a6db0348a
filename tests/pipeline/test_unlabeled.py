"""Photos without labels, few labels, and a thousand classes."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.cli import main
from pipeline.data import folder, unlabeled
from pipeline.data.dataset import Dataset, hold_out
from pipeline.data.photo_settings import Settings
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import Verification
from pipeline.errors import ClassesError, DataError, UnusablePhotosError
from pipeline.export.quantize.acceptance import judge_agreement
from runtime import Classifier

NAMES = ("red", "green", "blue")
SETTINGS = Settings(16)


def painted(count, seed=0):
    """Photos of one noisy color each, uint8 (N, 20, 24, 3)."""
    random = np.random.default_rng(seed)
    colors = random.integers(0, 256, (count, 1, 1, 3))
    return np.clip(random.normal(colors, 20, (count, 20, 24, 3)), 0, 255).astype(np.uint8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))


def sources(tmp_path, images):
    """The same photos as a nested folder, a list of files, and arrays."""
    root = tmp_path / "photos"
    paths = [root / ("deep/er" if number % 2 else "") / f"{number:03}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        save(path, image)
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(str(path.relative_to(tmp_path)) for path in paths) + "\n")
    np.savez(tmp_path / "photos.npz", images=images)
    return root, listed, tmp_path / "photos.npz"


@pytest.mark.usefixtures("cache")
def test_a_folder_a_list_and_arrays_give_the_same_squares(tmp_path):
    found = [unlabeled.load(source, SETTINGS, NAMES) for source in sources(tmp_path, painted(40))]
    for images in found:
        assert not images.labeled
        assert images.pixels.shape == (40, 16, 16, 3)
    assert len({frozenset(square.tobytes() for square in images.pixels) for images in found}) == 1


@pytest.mark.usefixtures("cache")
def test_copies_count_once_and_too_few_are_refused(tmp_path):
    images = np.concatenate([painted(31), painted(31)])
    for source in sources(tmp_path, images):
        with pytest.raises(DataError, match="31 different pictures; at least 32"):
            unlabeled.load(source, SETTINGS, NAMES)


@pytest.mark.usefixtures("cache")
def test_photos_that_cannot_be_read_are_refused_or_left_out(tmp_path):
    root, *_ = sources(tmp_path, painted(33))
    (root / "000.png").write_bytes(b"no photo")
    with pytest.raises(UnusablePhotosError, match="1 of 33 photos"):
        unlabeled.load(root, SETTINGS, NAMES)
    assert len(unlabeled.load(root, Settings(16, skip_bad=True), NAMES)) == 32


@pytest.mark.parametrize(
    ("name", "content", "said"),
    {
        "no file": ("photos.txt", None, "expected a folder, a text file"),
        "missing entry": ("photos.txt", b"a.png\n", "1 of 1 listed files are not there"),
        "outside": ("photos.txt", b"/etc/hostname\n", "below its own folder"),
        "no arrays": ("photos.npz", b"nothing", "no readable arrays"),
    }.values(),
)
def test_what_names_no_photos_is_refused(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        unlabeled.load(tmp_path / name, SETTINGS, NAMES)


def test_arrays_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((40, 8, 8, 3), np.float32), labels=np.zeros(40))
    with pytest.raises(DataError, match=r"got images float32 \(40, 8, 8, 3\), labels"):
        unlabeled.load(tmp_path / "x.npz", SETTINGS, NAMES)


def test_without_labels_agreement_and_distance_are_judged():
    expected = np.eye(3, dtype=np.float32)[np.arange(300) % 3]
    assert judge_agreement(expected, expected).passed
    other = expected.copy()
    other[:30] = np.roll(other[:30], 1, axis=1)
    judged = judge_agreement(expected, other)
    assert judged.accuracy == judged.agreement == 0.9
    assert judged.lost_points is None
    assert [violation.split()[0] for violation in judged.violations] == ["agreement", "mean"]


def test_a_share_is_held_out_however_few_images_a_class_has():
    pixels = np.zeros((40, 4, 4, 3), np.uint8)
    for labels in (np.arange(40), np.arange(40) % 2):
        rest, held_out = hold_out(Dataset(pixels, labels, tuple(map(str, range(40)))), 0.25)
        assert (len(rest), len(held_out)) == (30, 10)


@pytest.mark.usefixtures("cache")
def test_a_model_is_judged_on_one_photo_of_some_classes(tmp_path):
    names = ("crane", "cardigan", "Cardigan", "crane", *(f"other {number}" for number in range(996)))
    root = tmp_path / "photos"
    chosen = ("cardigan", "Cardigan", "crane 3", *names[4:40])
    for image, name in zip(painted(len(chosen)), chosen, strict=True):
        save(root / name / "photo.png", image)
    photos = folder.load(root, SETTINGS, names)
    labels = [*photos.training.labels, *photos.validation.labels]
    assert sorted(labels) == [1, 2, 3, *range(4, 40)]
    assert photos.training.class_names == names
    assert len(photos.validation) == 4
    save(root / "crane" / "photo.png", painted(1, seed=9)[0])
    with pytest.raises(ClassesError, match=r"named as no class of the model: crane; its classes are crane 0, .* and"):
        folder.load(root, SETTINGS, names)


def test_folders_that_differ_from_the_classes_only_in_case_are_told_so(tmp_path):
    for name in ("circle", "square", "other"):
        save(tmp_path / name / "photo.png", painted(1)[0])
    with pytest.raises(ClassesError) as refused:
        folder.load(tmp_path, SETTINGS, ("Circle", "Square", "Triangle"))
    assert str(refused.value).endswith(
        "named as no class of the model: circle, other, square; its classes are Circle, Square, Triangle; circle, "
        "square differ only in case from classes of the model: rename the folders, or the classes in the file of "
        "--classes"
    )


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A network of a thousand classes, of which the first three measure the distance to a primary color."""
    place = tmp_path_factory.mktemp("thousand")
    network = keras.Sequential([keras.Input((16, 16, 3)), layers.GlobalAveragePooling2D(), layers.Dense(1_000)])
    weights, bias = np.zeros((3, 1_000), np.float32), np.full(1_000, -8, np.float32)
    weights[:, :3], bias[:3] = 10 * np.eye(3), 0
    network.layers[-1].set_weights([weights, bias])
    network.save(place / "thousand.keras")
    names = ["crane", "crane", "cardigan", "Cardigan", *(f"color {number}" for number in range(996))]
    (place / "classes.txt").write_text("\n".join(names))
    return place


@pytest.mark.slow
@pytest.mark.usefixtures("cache")
def test_export_verify_and_drift_without_labels(thousand, tmp_path, capsys):
    out = tmp_path / "build"
    np.savez(tmp_path / "photos.npz", painted(200))
    photos, model = str(tmp_path / "photos.npz"), ["--model", str(thousand / "thousand.keras")]
    options = ["--classes", str(thousand / "classes.txt"), "--calibration", photos, "--quick", "--out", str(out)]
    status = main(["export", *model, *options])
    said = capsys.readouterr()
    assert "their folders of photos are called crane 0, crane 1" in said.err
    assert "accuracy was not measured" in said.out
    assert "The files have no familiarity score (is_known): it hardly tells photos" in said.out
    for stage in ("[1/4] model_fp32.onnx", "comparing every file with Keras"):
        assert stage in said.err
    manifest, verified = Manifest.read(out), Verification.read(out)
    assert (status, manifest.passed, verified.passed) == (0, True, True)
    assert (manifest.calibration.images, manifest.validation.images) == (150, 50)
    assert manifest.validation.keras_accuracy is None
    assert verified.keras_accuracy is None
    assert all(row.accuracy is None and row.agreement > 0.9 for row in verified.measured.values())
    assert Classifier(out / "model_int8.onnx").spec.accuracy is None
    assert main(["verify", str(out), "--photos", photos]) == 0
    assert main(["drift", str(out), "--photos", photos, "--images", "8"]) == 0
    assert main(["report", str(out)]) == 0
    capsys.readouterr()
    (out / "model_int8.tflite").write_bytes((out / "model_int8.onnx").read_bytes())
    assert main(["verify", str(out), "--photos", photos]) == 1
    assert len(json.loads((out / "verify.json").read_text())["keras"]["confusion"]) == 0
