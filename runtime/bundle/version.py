"""The number that orders bundles, so that an older one does not replace a newer one."""

import json
from pathlib import Path

from runtime.bundle.files import DESCRIPTION, read
from runtime.errors import BundleError
from runtime.text import for_terminal

MAX_VERSION = 10**15 - 1
"""The most digits; install.sh reads the same number."""


def bundle_version(folder: Path) -> int:
    """The number that orders bundles, the newer one's larger; 0 where none is stated.

    Raises:
        BundleError: ``bundle.json`` cannot be read, or states something else.
    """
    path = folder / DESCRIPTION
    content = read(path)
    try:
        version = json.loads(content).get("bundle_version", 0)
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{for_terminal(str(path))}: not JSON of a bundle ({for_terminal(str(error))}): build it anew"
        ) from error
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise BundleError(
            f"{for_terminal(str(path))}: expected a whole number of at most {MAX_VERSION} as bundle_version, got "
            f"{str(version)[:80]!a}: build it anew"
        )
    return version


def require_newer(folder: Path, installed: Path, *, signed: bool) -> None:
    """Refuse a bundle that is older than the installed one; as new is new enough. To be asked of a verified bundle.

    Args:
        folder: the bundle.
        installed: the folder of the installed version.
        signed: a signature was required; without one, the bundle may leave its version out, for it proves nothing.

    Raises:
        BundleError: it is older.
    """
    new, current = bundle_version(folder), bundle_version(installed)
    if new < current and (signed or new):
        raise BundleError(
            f"{for_terminal(str(folder))}: bundle version {new} is older than {current}, which is installed: build a "
            "newer one, or install this one with --allow-downgrade"
        )
