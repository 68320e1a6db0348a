"""A folder of synthetic photos, and its own cache."""

import pytest

from painted_photos import paint


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def photos(tmp_path):
    """Twenty cats, some of them nested, and ten dogs."""
    root = tmp_path / "photos"
    for number in range(20):
        paint(root / "cat" / ("indoors/night" if number % 2 else ".") / f"{number}.png", number)
    for number in range(10):
        paint(root / "dog" / f"{number}.png", 100 + number)
    return root
