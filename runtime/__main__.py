"""``python -m runtime``."""

import sys

try:
    from runtime.cli import entry

    entry()
except KeyboardInterrupt:  # while the modules came in; later ones are main's
    sys.exit(130)
