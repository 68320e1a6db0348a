import fcntl
import os
import shutil
from pathlib import Path

import pytest

from pipeline.artifacts import CURVES
from pipeline.system.quiet import load_tensorflow
from users_cache import put_aside

load_tensorflow(optional_modules=False)


@pytest.fixture(scope="session", autouse=True)
def users_cache_put_aside(tmp_path_factory):
    """Tests of this folder have a cache of their own."""
    with put_aside(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="session", autouse=True)
def curves_drawn_in_one_test():
    """Trainings leave an empty picture of their curves; ``test_train.py`` draws one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.training.record.draw_curves", lambda folder, *_: (folder / CURVES).touch())
        yield


@pytest.fixture(scope="session", autouse=True)
def wheel_built_once(tmp_path_factory):
    """Bundles copy one wheel of the project, which pip takes seconds to build; all processes of a run share it."""
    from pipeline.deploy.bundle.wheels import build_runtime_wheel

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def copied(folder):
        with (shared / "wheel.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wheel = next((shared / "wheel").glob("*.whl"), None) or build_runtime_wheel(shared / "wheel")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, folder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.deploy.bundle.build_runtime_wheel", copied)
        yield
