"""Read and check a model file, and load it into an engine."""

import errno
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.engines import registry
from runtime.engines.base import MAX_JSON_BYTES, MAX_MODEL_BYTES, Backend, Pixels, Probabilities, Scored
from runtime.engines.checksum import check_checksum
from runtime.engines.signature import checked_predict, checked_scored, embedded_spec
from runtime.errors import BackendUnavailableError, ModelDigestError, ModelFileNotFoundError, ModelFormatError
from runtime.spec import ModelSpec
from runtime.system.files import parse_json, read_regular

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

MANIFEST = "manifest.json"


class LoadedModel(NamedTuple):
    """A model file, ready to run.

    Attributes:
        backend: the engine with the model loaded.
        spec: the caller's spec, else the spec in the file.
        predict: maps pixels, uint8 (N, H, W, 3), to probabilities, float32 (N, C); raises ``ModelFormatError`` if the
            graph returns anything else.
        scored: returns in addition the familiarity scores, float32 (N,); ``None`` if the graph has no such output.
    """

    backend: Backend
    spec: ModelSpec
    predict: Callable[[Pixels], Probabilities]
    scored: Callable[[Pixels], Scored] | None


def load_model(
    path: Path, threads: int, spec: ModelSpec | None, engine: str | None = None, sha256: str | None = None
) -> LoadedModel:
    """Read a model file once, check it, load its bytes into the engine, and check the graph against the spec.

    Args:
        path: the model file.
        threads: intra-op threads of the engine.
        spec: replaces the spec in the file; needed if the file has none.
        engine: name of the engine; ``None``: the default for the file's suffix.
        sha256: SHA-256 of the file when ``tune`` chose it; ``None``: not checked.

    Raises:
        ModelFileNotFoundError: there is no readable file.
        ModelFormatError: the content does not match the suffix, the engine cannot read it, or it is not an image
            classifier.
        ModelSpecError: the file has no spec and none is given, or the spec does not match the graph.
        ModelDigestError: the file is damaged, or differs from the manifest beside it or from the file that was tuned.
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
    del content  # frees memory for the graph's first run
    about = spec or embedded_spec(loaded, name)
    predict = checked_predict(loaded, about, name, external=spec is not None, graph=graph)
    return LoadedModel(
        loaded, about, predict, None if about.known_threshold is None else checked_scored(loaded, about, name)
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
    """Compare the file's SHA-256 with the manifest of ``export``, if there is one beside it that lists the file.

    Other files named ``manifest.json``, such as a web app's, are ignored.
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
    """Return the SHA-256 of the file in the manifest beside it; ``None`` if there is no such entry."""
    try:
        manifest = parse_json(read_regular(path.with_name(MANIFEST), MAX_JSON_BYTES))
        listed = manifest["files"][path.name]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return listed if isinstance(listed, str) else None


def _read_graph(content: bytes, engine: str | None) -> "Graph | None":
    """Return the operators of a file of another exporter; ``None`` if they cannot be read."""
    try:
        return registry.find(engine).read_graph(content) if engine else None
    except ValueError:
        return None


def _sha256(content: bytes) -> str:
    # hashlib would load OpenSSL: 6 ms and 4 MiB, a tenth of what classifying one photo takes. CPython has SHA-256
    # without OpenSSL: in _sha2 from 3.12 on, in _sha256 before.
    found = next(name for name in ("_sha2", "_sha256", "hashlib") if find_spec(name))
    return str(import_module(found).sha256(content).hexdigest())
