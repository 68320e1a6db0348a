"""Export Keras models as verified model files for edge boards. Start reading at ``pipeline.cli``.

In a notebook: ``from pipeline import export, report, verify``, documented in ``pipeline.notebook``. Importing this
package does not import TensorFlow; importing ``export`` from it does.
"""

from importlib import import_module
from typing import Any

import runtime as runtime  # first, because it checks the version of Python

__all__ = ["export", "report", "verify"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pipeline.system.quiet import in_notebook, load_tensorflow, log_hidden

        with in_notebook():
            if name == "export":
                load_tensorflow(start_devices=False)
            with log_hidden():
                return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
