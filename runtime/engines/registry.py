"""The engines by name: our own in one list, those of other packages through an entry point.

A package names a class that follows ``runtime.engines.base.Backend`` in its pyproject.toml:

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
    """One that could run model files here.

    Attributes:
        name: what ``--engine`` takes.
        title: what its makers call it.
        suffixes: of the files that it reads, in lower case.
        missing: why it cannot be used here; ``None`` where it is installed.
        install: the command that installs it, or mends it.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    missing: str | None
    install: str


def find(name: str) -> "type[Backend]":
    """The class of an engine; the engine itself is imported when the class is called.

    Raises:
        BackendUnavailableError: none has this name, or the package that brings it is broken.
    """
    if name in OWN:
        found: type[Backend] = import_module(f"runtime.engines.{name}").BACKEND
        return found
    others = _others()
    if name not in others:
        raise BackendUnavailableError(f"no engine is called {name!r:.100}: there are {', '.join([*OWN, *others])}")
    try:
        loaded: type[Backend] = others[name].load()
    except Exception as error:  # whatever a package of others does when it is imported
        raise BackendUnavailableError(
            f"engine {name} cannot be loaded from {others[name].value} ({str(error) or type(error).__name__}): "
            "update or uninstall the package that brings it"
        ) from error
    return loaded


def default_engine(suffix: str) -> str | None:
    """The engine that runs files of a suffix (lower case) when none is asked for.

    Modules are imported up to that engine's, so that an ``.onnx`` file brings in no other engine's.
    """
    return next((name for name in OWN if (kind := find(name).file_format) and kind.suffix == suffix), None)


def file_formats() -> "dict[str, FileFormat]":
    """The kinds of model files that our engines run, by their suffix."""
    return {kind.suffix: kind for name in OWN if (kind := find(name).file_format)}


def engines() -> list[Engine]:
    """Every engine that is known here, installed or not, ours first; a broken one says so in ``missing``."""
    return [_describe(name) for name in dict.fromkeys([*OWN, *_others()])]


def engines_for(path: Path) -> tuple[str, ...]:
    """Names of the engines that read files of this suffix, installed or not, the default first."""
    suffix = path.suffix.lower()
    able = [engine.name for engine in engines() if suffix in engine.suffixes]
    default = default_engine(suffix)
    return tuple(sorted(able, key=lambda name: name != default))


def _describe(name: str) -> Engine:
    try:
        backend = find(name)
        missing = None if find_spec(backend.package) else f"{backend.package} is not installed"
        return Engine(name, backend.title, tuple(backend.suffixes), missing, backend.install)
    except Exception as error:  # noqa: BLE001 - a class of others may lack anything
        reason = str(error) or type(error).__name__
        return Engine(name, name, (), reason, "update or uninstall the package that brings it")


def _others() -> "dict[str, EntryPoint]":
    # 15 ms, which nobody pays who runs an .onnx file on ONNX Runtime.
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}
