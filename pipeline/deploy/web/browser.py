"""Drive an installed Chromium or Chrome through Playwright, to benchmark and test this project's pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "pip install playwright; then Chromium or Chrome, on Debian: apt install chromium"

_ARGUMENTS = (
    "--no-sandbox",  # the sandbox does not work for root, nor in most containers; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def why_no_browser() -> str | None:
    """Return what is missing here to drive a browser, or ``None``."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return None if _program() else f"none of {', '.join(NAMES)} is installed"


@contextmanager
def launched(*arguments: str) -> Iterator["Browser"]:
    """Yield a headless browser, which is closed at the end of the block.

    Args:
        arguments: further arguments of Chromium's command line.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_program(), args=[*_ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


def _program() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
