"""Find engines by name: ours from a list, engines of other packages through an entry point.

Another package registers a class that implements ``runtime.engines.base.Backend`` in its pyproject.toml:

    [project.entry-points."edgecnn.backends"]
    toy = "toy_engine:ToyBackend"
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import BackendUnavailableError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from runtime.engines.base import Backend, FileFormat

GROUP = "edgecnn.backends"
OWN = ("onnxruntime", "litert", "openvino", "ncnn")
"""Our engines: each name is a module of this folder, whose ``BACKEND`` describes the engine."""


class Engine(NamedTuple):
    """A known engine, installed or not.

    Attributes:
        name: name of the engine, as ``--engine`` takes it.
        title: official name of the engine.
        suffixes: suffixes of the files that it reads, in lower case.
        missing: why it cannot be used; ``None`` if it is installed.
        install: command that installs or repairs it.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    missing: str | None
    install: str


def find(name: str) -> "type[Backend]":
    """Return the ``Backend`` class of an engine; the engine itself is imported when the class is called.

    Raises:
        BackendUnavailableError: there is no engine of this name, or the package that provides it is broken.
    """
    if name in OWN:
        found: type[Backend] = import_module(f"runtime.engines.{name}").BACKEND
        return found
    others = _others()
    if name not in others:
        raise BackendUnavailableError(f"no engine is called {name!r:.100}: there are {', '.join([*OWN, *others])}")
    try:
        loaded: type[Backend] = others[name].load()
    except Exception as error:  # importing another package can raise anything
        raise BackendUnavailableError(
            f"engine {name} cannot be loaded from {others[name].value} ({str(error) or type(error).__name__}): "
            "update or uninstall the package that provides it"
        ) from error
    return loaded


def default_engine(suffix: str) -> str | None:
    """Return the engine that runs files of a suffix (lower case) by default; ``None`` for unknown suffixes.

    Our engine modules are imported in order until one matches, so an ``.onnx`` file imports only the first.
    """
    return next((name for name in OWN if (kind := find(name).file_format) and kind.suffix == suffix), None)


def file_formats() -> "dict[str, FileFormat]":
    """Return the file formats that our engines run by default, by suffix."""
    return {kind.suffix: kind for name in OWN if (kind := find(name).file_format)}


def engines() -> list[Engine]:
    """Return all known engines, installed or not, ours first; ``missing`` says why one cannot be used."""
    return [_describe(name) for name in dict.fromkeys([*OWN, *_others()])]


def engines_for(path: Path) -> tuple[str, ...]:
    """Return the names of the engines that read files of this suffix, installed or not, the default first."""
    suffix = path.suffix.lower()
    able = [engine.name for engine in engines() if suffix in engine.suffixes]
    default = default_engine(suffix)
    return tuple(sorted(able, key=lambda name: name != default))


def _describe(name: str) -> Engine:
    try:
        backend = find(name)
        missing = None if find_spec(backend.package) else f"{backend.package} is not installed"
        return Engine(name, backend.title, tuple(backend.suffixes), missing, backend.install)
    except Exception as error:  # noqa: BLE001 - a class of another package may lack any attribute
        reason = str(error) or type(error).__name__
        return Engine(name, name, (), reason, "update or uninstall the package that provides it")


def _others() -> "dict[str, EntryPoint]":
    # Takes 15 ms; not needed to run an .onnx file on ONNX Runtime.
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}
