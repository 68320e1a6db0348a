"""``python -m docs.figures``."""

import sys

from docs.figures.cli import main

if __name__ == "__main__":
    sys.exit(main())
