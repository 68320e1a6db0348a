import pytest

from pipeline.system.quiet import load_tensorflow
from users_cache import put_aside

load_tensorflow(optional_modules=False)


@pytest.fixture(scope="session", autouse=True)
def users_cache_put_aside(tmp_path_factory):
    """Tests of this folder have a cache of their own."""
    with put_aside(tmp_path_factory.mktemp("cache")):
        yield
