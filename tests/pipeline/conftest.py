import shutil
from pathlib import Path

import pytest

from pipeline.system.quiet import load_tensorflow

load_tensorflow()


@pytest.fixture(scope="session", autouse=True)
def wheel_built_once(tmp_path_factory):
    """Bundles copy the project's wheel, which pip takes seconds to build, from the first one of this process."""
    from pipeline.deploy.bundle.wheels import build_runtime_wheel

    built = []

    def copied(folder):
        if not built:
            built.append(build_runtime_wheel(tmp_path_factory.mktemp("wheel")))
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(built[0], folder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.deploy.bundle.build_runtime_wheel", copied)
        yield
