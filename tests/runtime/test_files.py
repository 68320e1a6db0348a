"""Reading files that other people wrote."""

import contextlib
import errno
import os
import shutil
import socket

import pytest

from runtime import Classifier, ModelDigestError, ModelFormatError
from runtime.system.files import open_regular, read_regular


@pytest.fixture
def irregular(tmp_path):
    """Paths that are not regular files, by their kind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        yield tmp_path


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "socket"])
def test_only_regular_files_are_opened(irregular, kind):
    with pytest.raises(OSError, match=f"a {kind}, not a (regular )?file"):
        read_regular(irregular / kind, 100)


@pytest.mark.parametrize("name", ["absent", "a\0b", "n" * 300, "file/below"])
def test_a_path_without_a_file_is_an_error_with_a_reason(tmp_path, name):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the test is that strerror is there
        open_regular(f"{tmp_path}/{name}")
    assert caught.value.strerror


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_up_to_the_limit_is_read_whole(tmp_path, size):
    (tmp_path / "file").write_bytes(bytes(size))
    assert read_regular(tmp_path / "file", 100) == bytes(size)


@pytest.mark.parametrize("size", [101, 1 << 40])
def test_a_larger_file_is_refused_unread(tmp_path, size):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
    with pytest.raises(OSError, match="larger than 100 bytes") as caught:
        read_regular(tmp_path / "sparse", 100)
    assert caught.value.errno == errno.EFBIG


def test_a_file_that_does_not_say_its_size_is_held_to_the_limit():
    assert os.stat("/proc/self/maps").st_size == 0  # noqa: PTH116
    assert read_regular("/proc/self/maps", 1 << 24).count(b"\n") > 10
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_regular("/proc/self/maps", 100)


@pytest.mark.parametrize("name", ["manifest.json", "runtime.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_no_file_beside_a_model_is_waited_for_or_read_without_end(reference, irregular, kind, name):
    folder = irregular / "models"
    folder.mkdir()
    shutil.copy(reference / "model_int8.onnx", folder)
    if kind == "huge":
        with (folder / name).open("wb") as file:
            file.truncate(1 << 40)
    else:
        (folder / name).symlink_to(irregular / kind)
    if name == "runtime.json":
        with pytest.raises(ModelFormatError, match=r"runtime\.json: .*tune"):
            Classifier(folder)
    else:
        with contextlib.suppress(ModelDigestError):
            Classifier(folder)
