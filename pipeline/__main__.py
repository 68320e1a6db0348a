"""``python -m pipeline``."""

import sys

try:
    from pipeline.cli import main

    status = main()
except KeyboardInterrupt:  # while the modules came in; later ones are main's
    status = 130
sys.exit(status)
