"""A cache of the run's own: tests read nothing that earlier runs have cached, and leave nothing there."""

from contextlib import contextmanager

import pytest

from pipeline.data.cifar10 import cache_dir

DOWNLOADS = cache_dir()
"""The user's cache, for tests of CIFAR-10 and ONNX Runtime Web, which are downloaded once."""


@contextmanager
def put_aside(folder):
    """Let ``folder`` be the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_DATA", str(folder))
        yield
