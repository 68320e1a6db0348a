"""Compare the version numbers of bundles, so that an older bundle does not replace a newer one."""

import json
from pathlib import Path

from runtime.bundle.files import DESCRIPTION, read
from runtime.errors import BundleError
from runtime.text import for_terminal

MAX_VERSION = 10**15 - 1
"""Largest version number; install.sh has the same limit."""


def bundle_version(folder: Path) -> int:
    """Return the ``bundle_version`` in ``bundle.json``, larger for newer bundles; 0 if it has none.

    Raises:
        BundleError: ``bundle.json`` cannot be read, or its version is not a whole number in range.
    """
    path = folder / DESCRIPTION
    content = read(path)
    try:
        version = json.loads(content).get("bundle_version", 0)
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{for_terminal(str(path))}: not the description of a bundle ({for_terminal(str(error))}): build it again"
        ) from error
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise BundleError(
            f"{for_terminal(str(path))}: expected a whole number of at most {MAX_VERSION} as bundle_version, got "
            f"{str(version)[:80]!a}: build it again"
        )
    return version


def require_newer(folder: Path, installed: Path, *, signed: bool) -> None:
    """Refuse a bundle that is older than the installed one; the same version is accepted. Verify the bundle first.

    Args:
        folder: folder of the bundle.
        installed: folder of the installed version.
        signed: a signature was required. If not, a bundle without a version is accepted too, because an unsigned
            version proves nothing.

    Raises:
        BundleError: it is older.
    """
    new, current = bundle_version(folder), bundle_version(installed)
    if new < current and (signed or new):
        raise BundleError(
            f"{for_terminal(str(folder))}: bundle version {new} is older than {current}, which is installed: build a "
            "newer one, or install this one with --allow-downgrade"
        )
