"""One small file a command: ``add`` registers it, ``run`` runs it.

Each imports what it needs when it runs, so that help and usage errors come at once.
"""

import argparse
from typing import TypeAlias

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it nowhere else
