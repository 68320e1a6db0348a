"""Warn before an export replaces files of another model."""

from collections.abc import Iterable
from pathlib import Path

from pipeline import artifacts
from pipeline.data.dataset import format_size
from pipeline.documents.manifest import Manifest
from pipeline.errors import PipelineError
from runtime.text import first_of, plural

REPORTS = (artifacts.BENCHMARK, artifacts.DRIFT)


def what_is_replaced(folder: Path, keras_sha256: str, files: Iterable[str]) -> str | None:
    """Warn of another model in the folder and its files that stay; ``None`` if there is no other model.

    Args:
        folder: the folder to export to.
        keras_sha256: SHA-256 of the Keras file that will be written.
        files: names of the files that will be written.
    """
    try:
        manifest = Manifest.read(folder)
    except PipelineError:
        return None
    if manifest.sha256_of(artifacts.MODEL_KERAS) == keras_sha256:
        return None
    names, size = manifest.class_names, format_size(manifest.size)
    text = f"{folder}: replaces another model, of {plural(len(names), 'class')} ({first_of(names)}) and {size} pixels"
    written = set(files)
    kept = [name for name in manifest.files if name not in written]
    left = [name for name in (*kept, *REPORTS) if (folder / name).is_file()]
    return f"{text}; these files of it stay: {', '.join(left)}" if left else text
