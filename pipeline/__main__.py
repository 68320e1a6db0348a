"""``python -m pipeline``."""

import sys

try:
    from pipeline.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"error: the package {error.name} is not installed here; after make env use .venv/bin/python -m pipeline")
except KeyboardInterrupt:  # main handles later ones
    sys.exit(130)
sys.exit(main())
