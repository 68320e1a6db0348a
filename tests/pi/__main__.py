"""``python -m pi [EXPRESSION]``: the tests of ``on_board.py``, each processor in a pytest of its own, side by side.

The output of the first is shown at once, that of the other at the end; EXPRESSION selects tests like -k.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from pi import root
from pi.board import PROCESSORS
from pi.emulator import registered
from pipeline.data.cifar10 import cache_dir

TESTS = str(Path(__file__).with_name("on_board.py"))
PYTEST = (sys.executable, "-m", "pytest", TESTS, "-v", "-rPs", "--durations=0", "--durations-min=1")
NONE_CHOSEN = 5


def main(expression: str = "") -> int:
    """The worst exit status of pytest."""
    with registered():
        root.build(cache_dir())  # now, lest both would
    del os.environ["PYTHONPATH"]  # tests/, where a folder is called runtime as well
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and tests send it
    with tempfile.TemporaryFile() as kept:
        running = []
        for number, processor in enumerate(PROCESSORS):
            chosen = f"{processor} and ({expression})" if expression else processor
            out = kept if number else None
            running.append(subprocess.Popen([*PYTEST, "-k", chosen], stdin=subprocess.DEVNULL, stdout=out, stderr=out))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # they hear it as well, and tidy up
        statuses = {abs(process.wait()) for process in running}
        kept.seek(0)
        shutil.copyfileobj(kept, sys.stdout.buffer)
    return max(statuses - {NONE_CHOSEN}, default=NONE_CHOSEN)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
