"""Run the command line: ``python -m runtime``."""

import sys

try:
    from runtime.cli import entry

    entry()
except KeyboardInterrupt:  # during the imports; runtime.cli.main handles later ones
    sys.exit(130)
