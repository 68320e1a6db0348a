"""What both halves of the tests share."""

from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent.parent / "artifacts" / "reference"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REFERENCE.parent.parent


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the shipped reference."""
    return REFERENCE
