"""``python -m docs.figures.soak.jump FILE ARGUMENT ...``: run the runtime with a wall clock that can be shifted.

FILE contains the shift in seconds and may change at any time.
"""

import os
import sys
import time
from pathlib import Path

from runtime.cli import main


def bend(file: Path) -> None:
    """Shift ``time.time``, ``gmtime``, ``localtime`` and ``strftime`` by the seconds in ``file``."""
    now, gmtime, localtime, strftime = time.time, time.gmtime, time.localtime, time.strftime

    def bent() -> float:
        return now() + float(file.read_text(encoding="ascii"))

    time.time = bent
    time.gmtime = lambda seconds=None: gmtime(bent() if seconds is None else seconds)
    time.localtime = lambda seconds=None: localtime(bent() if seconds is None else seconds)
    time.strftime = lambda form, moment=None: strftime(form, time.localtime() if moment is None else moment)


if __name__ == "__main__":
    bend(Path(sys.argv[1]))
    status = main(sys.argv[2:])
    sys.stdout.flush()
    os._exit(status)  # as the runtime's own entry point does
