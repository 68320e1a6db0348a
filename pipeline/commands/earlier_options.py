"""Options of an earlier command on the same photos, which later commands reuse; each is named on stderr."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.seen import digest_of_path
from pipeline.documents.history import History
from pipeline.errors import DocumentError
from runtime.text import say

if TYPE_CHECKING:
    from pipeline.documents.manifest import Manifest

SKIP_BAD = "--skip-bad (--no-skip-bad turns it off)"


def restore_of_training(options: argparse.Namespace) -> None:
    """Reuse ``--skip-bad`` and ``--none`` of an earlier training on the same photos in the same output folder.

    An option that is given now is left alone.
    """
    try:
        history = History.read(options.out)
    except DocumentError:
        return
    if history.photos is None or history.data is None or Path(history.data).resolve() != options.data.resolve():
        return
    taken = []
    if options.skip_bad is None and history.photos.get("skip_bad") is True:
        options.skip_bad = True
        taken.append(SKIP_BAD)
    if options.none is None and isinstance(none := history.photos.get("none"), str) and none:
        options.none = Path(none)
        taken.append(f"--none {none}")
    _report("training", taken)


def skip_bad_of_export(options: argparse.Namespace, manifest: "Manifest", photos: Path) -> bool | None:
    """Return ``--skip-bad``, or, if it is not given, whether export got it with the same photos.

    Args:
        options: of the command.
        manifest: of the folder that export wrote.
        photos: the photos that the command reads.

    Returns:
        ``None`` if neither command got it: then it is as in training.
    """
    if options.skip_bad is None and digest_of_path(photos) in manifest.skip_bad:
        _report("export", [SKIP_BAD])
        return True
    given: bool | None = options.skip_bad
    return given


def _report(command: str, taken: Sequence[str]) -> None:
    if taken:
        say(f"as in the {command} before: {', '.join(taken)}")
