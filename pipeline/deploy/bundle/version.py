"""The number that orders bundles, so that a board refuses an older bundle than it has."""

import os
from datetime import UTC, datetime

from pipeline.errors import BundleBuildError
from runtime.bundle.version import MAX_VERSION


def check_version(number: int) -> None:
    """Refuse what is no version.

    Raises:
        BundleBuildError: it is negative, or has more than 15 digits.
    """
    if not 0 < number <= MAX_VERSION:
        raise BundleBuildError(f"bundle version {number}: expected a whole number from 1 to {MAX_VERSION}")


def default_version(*, signed: bool) -> int | None:
    """The version of a bundle whose builder states none.

    It is a time in UTC, as ``20261126055247``: that of the environment variable ``SOURCE_DATE_EPOCH`` where it is set,
    else for a signed bundle the present. An unsigned one then has none, for the same files have to give the same bytes;
    a signed one has other bytes each time, as its signature has.

    Raises:
        BundleBuildError: ``SOURCE_DATE_EPOCH`` is not a time in seconds.
    """
    time = build_time(signed=signed)
    return None if time is None else int(time.strftime("%Y%m%d%H%M%S"))


def build_time(*, signed: bool) -> datetime | None:
    """When the bundle is built, in UTC: what ``SOURCE_DATE_EPOCH`` says, else for a signed bundle now.

    Raises:
        BundleBuildError: ``SOURCE_DATE_EPOCH`` is not a time in seconds.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not stated:
        return datetime.now(UTC) if signed else None
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BundleBuildError(
            f"SOURCE_DATE_EPOCH is {stated[:40]!r}: expected whole seconds since 1970, or leave it out"
        ) from error
