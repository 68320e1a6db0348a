import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from pipeline.data import cifar10, samples
from pipeline.data.dataset import Dataset, split, stratified_indices
from pipeline.documents.history import History, ImageCounts
from pipeline.errors import DataError, DataUnavailableError
from users_cache import DOWNLOADS


def small_arrays():
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (10, 32, 32, 3), np.uint8),
        "y_train": np.arange(10, dtype=np.uint8),
        "x_test": random.integers(0, 256, (2, 32, 32, 3), np.uint8),
        "y_test": np.array([3, 8], np.uint8),
    }


def npm_tarball(path, arrays):
    files = {
        f"data_batch_{number}.png": arrays["x_train"][2 * number - 2 : 2 * number].reshape(2, 1024, 3)
        for number in range(1, 6)
    }
    files["test_batch.png"] = arrays["x_test"].reshape(2, 1024, 3)
    with tarfile.open(path, "w:gz") as archive:
        for name, rows in files.items():
            stream = io.BytesIO()
            Image.fromarray(rows).save(stream, "PNG")
            add(archive, name, stream.getvalue())
        add(archive, "train_lables.json", json.dumps(arrays["y_train"].tolist()).encode())
        add(archive, "test_lables.json", json.dumps(arrays["y_test"].tolist()).encode())


def add(archive, name, content):
    info = tarfile.TarInfo(f"package/{name}")
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    return tmp_path


def test_tarball_in_the_folder_is_read_checked_and_cached(data_dir, monkeypatch):
    arrays = small_arrays()
    npm_tarball(data_dir / cifar10.NPM_TARBALL, arrays)
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    training, test = cifar10.load()
    assert (training.pixels == arrays["x_train"]).all()
    assert test.labels.tolist() == [3, 8]
    (data_dir / cifar10.NPM_TARBALL).unlink()
    assert isinstance(cifar10.load()[0].pixels, np.memmap)


@pytest.fixture
def cached(data_dir, monkeypatch):
    """The folder of a cache that was filled from an npm tarball, which was then deleted."""
    arrays = small_arrays()
    npm_tarball(data_dir / cifar10.NPM_TARBALL, arrays)
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    cifar10.load()
    (data_dir / cifar10.NPM_TARBALL).rename(data_dir / "away")
    return data_dir / "cifar10"


def noise(path):
    np.save(path, np.random.default_rng(1).integers(0, 256, np.load(path).shape, np.uint8))


def zipped(array):
    content = io.BytesIO()
    np.savez(content, array)
    return content.getvalue()


def one_byte(path):
    with path.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))


DAMAGES = {
    "noise": noise,
    "one byte": one_byte,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "no pixels": lambda path: path.write_bytes(path.read_bytes()[:128]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no array"),
    "header": lambda path: path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape': ((")),
    "huge": lambda path: path.write_bytes(path.read_bytes().replace(b"(2, 32", b"(2000000000, 32")),
    "objects": lambda path: np.save(path, np.array([{}]), allow_pickle=True),
    "other type": lambda path: np.save(path, np.load(path).view(np.int8)),
    "other order": lambda path: np.save(path, np.asfortranarray(np.load(path))[..., ::-1]),
    "scalar": lambda path: np.save(path, np.uint8(1)),
    "archive": lambda path: path.write_bytes(zipped(np.zeros(3))),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_one_line_or_made_anew_from_the_archive_beside_it(cached, damage, capsys):
    path = cached / "x_test.npy"
    damage(path)
    with pytest.raises(DataError, match=r"x_test\.npy is damaged \(.*: delete .*cifar10 and try again") as caught:
        cifar10.load()
    assert "\n" not in str(caught.value)
    (cached.parent / "away").rename(cached.parent / cifar10.NPM_TARBALL)
    capsys.readouterr()
    assert cifar10.load()[1].pixels.tobytes() == small_arrays()["x_test"].tobytes()
    said = capsys.readouterr().err
    assert "x_test.npy is damaged" in said
    assert said.count("\n") == 1
    cifar10.load()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("cached")
def test_a_cache_is_checked_once_as_long_as_it_stays_the_same(monkeypatch):
    cifar10.load()
    monkeypatch.setattr(cifar10, "open_memmap", lambda *_, **__: pytest.fail("read again"))
    cifar10.load()


@pytest.mark.parametrize("name", [cifar10.ARCHIVE, cifar10.NPM_TARBALL])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99, None])
def test_a_broken_archive_put_there_by_hand_is_one_line(data_dir, name, share):
    npm_tarball(data_dir / name, small_arrays())
    content = (data_dir / name).read_bytes()
    (data_dir / name).write_bytes(b"no archive" if share is None else content[: int(share * len(content))])
    with pytest.raises(DataError, match="fetch it again") as caught:
        cifar10.load()
    assert "\n" not in str(caught.value)
    assert str(data_dir / name) in str(caught.value)
    assert not (data_dir / "cifar10").exists()


def test_other_images_are_refused_and_nothing_is_cached(data_dir):
    npm_tarball(data_dir / cifar10.NPM_TARBALL, small_arrays())
    with pytest.raises(DataError, match="x_train is not CIFAR-10's"):
        cifar10.load()
    assert not cifar10.is_cached()
    assert not (data_dir / "cifar10").exists()


def test_damaged_official_archive_is_refused(data_dir):
    (data_dir / cifar10.ARCHIVE).write_bytes(b"not it")
    with pytest.raises(DataError, match="SHA-256"):
        cifar10.load()


def test_when_no_source_answers_the_error_lists_them(data_dir, monkeypatch):
    monkeypatch.setattr(cifar10, "ARCHIVE_URL", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setenv("PATH", str(data_dir))
    with pytest.raises(DataUnavailableError) as caught:
        cifar10.load()
    text = str(caught.value)
    assert "127.0.0.1:9" in text
    assert "npm is not installed" in text
    assert f"into {data_dir} by hand" in text


def test_split_is_stratified_and_disjoint():
    labels = np.repeat(np.arange(4), [40, 40, 20, 100]).astype(np.uint8)
    pixels = np.arange(200, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    training, validation = split(Dataset(pixels, labels, tuple("abcd")), 20)
    assert np.bincount(validation.labels).tolist() == [4, 4, 2, 10]
    assert not set(training.pixels[:, 0, 0, 0]) & set(validation.pixels[:, 0, 0, 0])
    assert len(training) == 180
    with pytest.raises(DataError, match="cannot draw"):
        stratified_indices(labels, 3, seed=0)


def test_shipped_images_are_whole_and_balanced(reference):
    calibration, test = samples.read_calibration(reference), samples.read_test(reference)
    assert len(calibration) == 500
    assert np.bincount(samples.read_validation(reference).labels).tolist() == [100] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10


@pytest.mark.skipif(not cifar10.is_cached(), reason="full CIFAR-10 is not cached")
def test_shipped_images_come_from_where_they_should(reference, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(DOWNLOADS))
    (training, validation), test = cifar10.divided(), cifar10.load()[1]
    sets = [{image.tobytes() for image in each.pixels} for each in (training, validation, test)]
    calibration = {image.tobytes() for image in samples.read_calibration(reference).pixels}
    assert calibration <= sets[0]
    assert not calibration & (sets[1] | sets[2])
    assert {image.tobytes() for image in samples.read_validation(reference).pixels} <= sets[1]
    assert {image.tobytes() for image in samples.read_test(reference).pixels} <= sets[2]


@pytest.mark.skipif(not cifar10.is_cached(), reason="full CIFAR-10 is not cached")
def test_the_fewest_validation_images_are_the_shipped_ones(reference, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(DOWNLOADS))
    assert cifar10.divided(1_000)[1].digest == samples.read_validation(reference).digest


@pytest.fixture
def numbered_cifar10(monkeypatch):
    """CIFAR-10 in number and classes; the pixel of each image is its number."""
    numbers = np.arange(50_000)
    pixels = np.stack([numbers % 256, numbers // 256, numbers * 0], axis=-1).astype(np.uint8)[:, None, None]
    everything = Dataset(pixels, (numbers % 10).astype(np.uint8), cifar10.CLASS_NAMES)
    monkeypatch.setattr(cifar10, "load", lambda: (everything, everything.take(numbers[:10])))
    monkeypatch.setattr(cifar10, "is_cached", lambda: True)


def _ordered(images):
    pixels = images.pixels[:, 0, 0].astype(int)
    return (pixels[:, 0] + 256 * pixels[:, 1]).tolist()


def _numbers(images):
    return set(_ordered(images))


@pytest.mark.usefixtures("numbered_cifar10")
def test_fewer_validation_images_are_trained_on_except_those_that_are_shipped():
    shipped = _numbers(cifar10.divided(1_000)[1])
    for count in (1_000, 1_700, 5_000):
        training, validation = cifar10.divided(count)
        assert (len(training), len(validation)) == (50_000 - count, count)
        assert _numbers(training) | _numbers(validation) == set(range(50_000))
        assert shipped <= _numbers(validation) <= _numbers(cifar10.divided()[1])
        assert np.bincount(validation.labels).tolist() == [count // 10] * 10
        for images in (training, validation):
            assert all(number % 10 == label for number, label in zip(_ordered(images), images.labels, strict=True))


@pytest.mark.usefixtures("numbered_cifar10")
@pytest.mark.parametrize("count", [0, 999, 5_001])
def test_a_number_of_validation_images_out_of_range_is_refused(count):
    with pytest.raises(DataError, match=r"1,000 to 5,000 of CIFAR-10, got"):
        cifar10.divided(count)


@pytest.mark.usefixtures("numbered_cifar10")
def test_a_network_is_judged_on_the_validation_images_of_its_training():
    few = History(images=ImageCounts(training=49_000, validation=1_000))
    assert _numbers(samples.validation_images(few)) == _numbers(cifar10.divided(1_000)[1])
    photos = few.model_copy(update={"photos": {"resize": "crop"}})
    other = History(images=ImageCounts(training=400, validation=1_000))
    for history in (None, History(), photos, other):
        assert len(samples.validation_images(history)) == 5_000


def test_without_the_full_set_the_shipped_images_stand_in(data_dir, reference):
    assert not cifar10.is_cached()
    assert samples.calibration_images().digest == samples.read_calibration(reference).digest
    assert samples.validation_images().digest == samples.read_validation(reference).digest
    assert not list(data_dir.iterdir())


def test_invalid_arrays_are_refused():
    with pytest.raises(DataError, match="uint8"):
        Dataset(np.zeros((1, 4, 4, 3), np.float32), np.zeros(1, np.uint8), ("a", "b"))
    with pytest.raises(DataError, match="has no name"):
        Dataset(np.zeros((1, 4, 4, 3), np.uint8), np.full(1, 2), ("a", "b"))


def test_a_label_below_zero_is_refused():
    with pytest.raises(DataError, match="from 0 up, got -1"):
        Dataset(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, -1]), ("a", "b"))
