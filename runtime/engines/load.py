"""Read a model file once, check it, and hand it to its engine."""

import errno
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.engines import registry
from runtime.engines.base import MAX_JSON_BYTES, MAX_MODEL_BYTES, Backend, Pixels, Probabilities, Scored
from runtime.engines.checksum import check_checksum
from runtime.engines.signature import carried_spec, fit, fit_scored
from runtime.errors import BackendUnavailableError, ModelDigestError, ModelFileNotFoundError, ModelFormatError
from runtime.spec import ModelSpec
from runtime.system.files import parse_json, read_regular

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

MANIFEST = "manifest.json"


class LoadedModel(NamedTuple):
    """A model file, ready to run.

    Attributes:
        backend: its engine, with the file in it.
        spec: what the caller said of it, or what it says of itself.
        predict: uint8 (N, S, S, 3) to float32 (N, C); a ``ModelFormatError`` where the graph answers anything else.
        scored: the same with the familiarity of each image, where the graph gives it.
    """

    backend: Backend
    spec: ModelSpec
    predict: Callable[[Pixels], Probabilities]
    scored: Callable[[Pixels], Scored] | None


def load_model(
    path: Path, threads: int, spec: ModelSpec | None, engine: str | None = None, sha256: str | None = None
) -> LoadedModel:
    """Read a model file once, check it, hand its bytes to its engine, and hold the graph against the spec.

    Args:
        path: the file.
        threads: processor threads of the engine.
        spec: how to feed it, if the caller says so; it need not carry a spec then.
        engine: name of the engine that is to run it; by its suffix if not given.
        sha256: what it held when ``tune`` chose it, if it did.

    Raises:
        ModelFileNotFoundError: no readable file.
        ModelFormatError: not a model file of its suffix, not one that the engine reads, or not an image classifier.
        ModelSpecError: it carries no spec and none is given, or the spec is not the graph's.
        ModelDigestError: it is damaged, has changed since it was chosen, or a manifest beside it lists another content.
        BackendUnavailableError: the engine is unknown or not installed.
    """
    backend = _find_engine(path, engine)
    suffix, name = path.suffix.lower(), str(path)
    content = _read(path)
    _check_digest(path, content)
    if sha256 is not None and _sha256(content) != sha256:
        raise ModelDigestError(f"{path}: changed since it was tuned: run python -m runtime tune {path.parent} again")
    default = registry.default_engine(suffix)
    kind = registry.find(default).file_format if default else None
    if kind:
        check_checksum(content, kind, name, spec_given=spec is not None)
    try:
        backend.import_engine()
    except ImportError as error:
        raise BackendUnavailableError(
            f"{path}: running it needs {backend.title}, which cannot be imported ({error}): {backend.install}"
        ) from error
    graph = _read_graph(content, default) if spec and not spec.output else None
    loaded = backend(content, name, threads)
    del content  # the graph's first run may want the room
    about = spec or carried_spec(loaded, name)
    predict = fit(loaded, about, name, external=spec is not None, graph=graph)
    return LoadedModel(
        loaded, about, predict, None if about.known_threshold is None else fit_scored(loaded, about, name)
    )


def _find_engine(path: Path, engine: str | None) -> type[Backend]:
    suffix = path.suffix.lower()
    name = engine or registry.default_engine(suffix) or next(iter(registry.engines_for(path)), None)
    if name is None:
        expected = f"expected a file that ends in {' or '.join(registry.file_formats())}"
        make = f": python -m pipeline export --model {path} --out DIR" if suffix in (".keras", ".h5") else ""
        raise ModelFormatError(f"{path}: {expected}{make}")
    backend = registry.find(name)
    if suffix not in backend.suffixes:
        able = " or ".join(registry.engines_for(path)) or "no engine"
        raise ModelFormatError(
            f"{path}: {backend.title} reads files that end in {' or '.join(backend.suffixes)}; {able} reads this one"
        )
    return backend


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_MODEL_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ModelFormatError(f"{path}: {error.strerror}") from error
        raise ModelFileNotFoundError(f"{path}: {error.strerror}; expected a readable model file") from error


def _check_digest(path: Path, content: bytes) -> None:
    """Hold the file against the manifest that export writes, where one lies beside it and lists it.

    Any other file of that name, such as a web app's, says nothing of the model.
    """
    listed = _listed_digest(path)
    if listed is None:
        return
    digest = _sha256(content)
    if digest != listed:
        raise ModelDigestError(
            f"{path}: changed since export: its SHA-256 begins {digest[:12]}, the {MANIFEST} beside it says "
            f"{listed[:12]}: copy both files again, or move the model to a folder of its own if it is another one"
        )


def _listed_digest(path: Path) -> str | None:
    """The SHA-256 that the manifest beside a file lists for it; ``None`` without such an entry."""
    try:
        manifest = parse_json(read_regular(path.with_name(MANIFEST), MAX_JSON_BYTES))
        listed = manifest["files"][path.name]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return listed if isinstance(listed, str) else None


def _read_graph(content: bytes, engine: str | None) -> "Graph | None":
    """The operators of a file of another exporter; ``None`` where they cannot be read."""
    try:
        return registry.find(engine).read_graph(content) if engine else None
    except ValueError:
        return None


def _sha256(content: bytes) -> str:
    # hashlib would load OpenSSL: 6 ms and 4 MiB, a tenth of what a process that names one photo takes. The interpreter
    # has the function without it: as _sha2 from 3.12 on, as _sha256 before.
    found = next(name for name in ("_sha2", "_sha256", "hashlib") if find_spec(name))
    return str(import_module(found).sha256(content).hexdigest())
