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


@pytest.fixture(scope="session")
def chromium():
    """An installed Chromium without a window (a Playwright ``Browser``), whose camera shows a test picture."""
    from pipeline.deploy.web.browser import launched, why_no_browser

    reason = why_no_browser()
    if reason:
        pytest.skip(f"no browser to look with: {reason}")
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as started:
        yield started
