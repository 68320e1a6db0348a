"""A small bundle and a key to sign it with."""

import pytest

from small_bundle import FILES, new_key, write_sums


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "edgecnn-test"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_sums(folder)
    return folder


@pytest.fixture
def key(tmp_path):
    """A private key; its public half lies beside it."""
    path = tmp_path / "key.pem"
    new_key(path)
    return path
