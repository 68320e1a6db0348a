"""Packages that are called as well: ``from pipeline import export`` gives the package and the function in one.

``pipeline.export`` is a package with many modules, and a notebook wants to write ``export(model, "build")``. A module
may be given a class of its own (Python Language Reference, 3.3.2.1); this one calls the function of the same name.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

NOTEBOOK = "pipeline.notebook"


class CallablePackage(ModuleType):
    """A package whose call is that of the function of ``pipeline.notebook`` with its name."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function; nothing of it is imported before."""
        return getattr(import_module(NOTEBOOK), self.__name__.rpartition(".")[2])(*arguments, **named)
