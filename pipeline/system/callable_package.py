"""Make packages callable: ``from pipeline import export`` gives an object that is both package and function.

``pipeline.export`` is a package with many modules, and notebooks call ``export(model, "build")``. The class of a module
can be replaced (Python Language Reference, 3.3.2.1); this class calls the function of ``pipeline.notebook`` with the
package's name.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from pipeline.system.quiet import in_notebook, load_tensorflow, log_hidden

NOTEBOOK = "pipeline.notebook"


class CallablePackage(ModuleType):
    """A package that can be called like the function of ``pipeline.notebook`` with its name."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Import ``pipeline.notebook`` and call the function, without the log of TensorFlow."""
        with in_notebook():
            load_tensorflow()
            with log_hidden():
                notebook = import_module(NOTEBOOK)
            return getattr(notebook, self.__name__.rpartition(".")[2])(*arguments, **named)
