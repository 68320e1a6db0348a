"""The version number of bundles, by which a board refuses a bundle that is older than its own."""

import os
from datetime import UTC, datetime

from pipeline.errors import BundleBuildError
from runtime.bundle.version import MAX_VERSION


def check_version(number: int) -> None:
    """Refuse a number that is not a valid version.

    Raises:
        BundleBuildError: it is not in 1 to ``MAX_VERSION``.
    """
    if not 0 < number <= MAX_VERSION:
        raise BundleBuildError(f"bundle version {number}: expected a whole number from 1 to {MAX_VERSION}")


def default_version(*, signed: bool) -> int | None:
    """Return the version of a bundle for which none is given.

    The version is the time of ``build_time`` as digits, such as 20261126055247; ``None`` if there is no such time.

    Raises:
        BundleBuildError: ``SOURCE_DATE_EPOCH`` is not a time in seconds.
    """
    time = build_time(signed=signed)
    return None if time is None else int(time.strftime("%Y%m%d%H%M%S"))


def build_time(*, signed: bool) -> datetime | None:
    """Return the build time in UTC: the environment variable ``SOURCE_DATE_EPOCH`` if set, else now or ``None``.

    A signed bundle gets the present time. An unsigned one gets ``None``, so that the same files give the same bytes; a
    signed bundle has different bytes each time anyway, because its signature is random.

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
