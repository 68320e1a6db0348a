"""What export wrote of itself, readable without TensorFlow."""

from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.errors import PipelineError, reason


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export folder.

    Raises:
        PipelineError: none there, or not one that export wrote.
    """
    path = folder / artifacts.MANIFEST
    try:
        manifest: dict[str, Any] = artifacts.read_json(path)
        if not {"files", "class_names", "side", "scale", "offset", "temperature"} <= set(manifest):
            raise ValueError("entries are missing")
    except (OSError, ValueError, TypeError) as error:
        raise PipelineError(
            f"{path}: no readable manifest ({reason(error)}); run python -m pipeline export first"
        ) from error
    return manifest
