"""``python -m pipeline``."""

import sys

try:
    from pipeline.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"error: the pipeline's packages are not installed here, {error.name} among them: run make env, and then "
        ".venv/bin/python -m pipeline"
    )
except KeyboardInterrupt:  # main handles later ones
    sys.exit(130)
sys.exit(main())
