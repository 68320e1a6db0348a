"""``python -m pipeline``."""

import sys

try:
    from pipeline.cli import main

    status: int | str = main()
except ModuleNotFoundError as error:
    status = f"error: the package {error.name} is not installed here; after make env use .venv/bin/python -m pipeline"
except KeyboardInterrupt:  # while the modules came in; later ones are main's
    status = 130
sys.exit(status)
