import signal
import subprocess
import sys

import pytest

from pipeline import artifacts
from pipeline.errors import FolderInUseError
from pipeline.training import lock

HOLD = """
import sys
from pathlib import Path
from pipeline.training import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_training_in_a_folder_is_refused(holder, tmp_path):
    with (
        pytest.raises(FolderInUseError, match=rf"process {holder.pid} on .* running in this folder; .*--out"),
        lock.held(tmp_path),
    ):
        pass
    assert holder.poll() is None
    holder.communicate()
    assert not (tmp_path / artifacts.TRAINING_LOCK).exists()
    with lock.held(tmp_path):
        pass


def test_a_killed_training_is_not_in_the_way(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / artifacts.TRAINING_LOCK).exists()
    with lock.held(tmp_path):
        pass


def test_a_folder_that_has_a_file_s_place_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), lock.held(tmp_path / "file"):
        pass
