"""What both halves of the tests share."""

import shutil
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent.parent / "artifacts" / "reference"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It runs as root in containers, and asks nobody on the network for anything of its own."""


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
    """An installed Chromium without a window, driven by Playwright: its ``Browser``."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install it")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip(f"no browser here, one of {', '.join(CHROMIUM)}: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()
