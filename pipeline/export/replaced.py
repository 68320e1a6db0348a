"""Say which files of another model an export will replace, before it does."""

from collections.abc import Iterable
from pathlib import Path

from pipeline import artifacts
from pipeline.data.dataset import by
from pipeline.documents.manifest import Manifest
from pipeline.errors import PipelineError

REPORTS = (artifacts.BENCHMARK, artifacts.DRIFT)
CLASSES_NAMED = 5


def what_is_replaced(folder: Path, keras_sha256: str, files: Iterable[str]) -> str | None:
    """What another model in the folder loses, in words; ``None`` where there is none.

    Args:
        folder: where to export to.
        keras_sha256: of the Keras file that will lie there.
        files: what will be written; other files of the old model stay.
    """
    try:
        manifest = Manifest.read(folder)
    except PipelineError:
        return None
    if manifest.sha256_of(artifacts.MODEL_KERAS) == keras_sha256:
        return None
    names, size = manifest.class_names, by(manifest.size)
    listed = ", ".join(names[:CLASSES_NAMED]) + (", …" if len(names) > CLASSES_NAMED else "")
    text = f"{folder}: replaces another model, of {len(names)} classes ({listed}) and {size} pixels"
    written = set(files)
    kept = [name for name in manifest.files if name not in written]
    left = [name for name in (*kept, *REPORTS) if (folder / name).is_file()]
    return f"{text}; what stays is about that one: {', '.join(left)}" if left else text
