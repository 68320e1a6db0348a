"""Write a trained model and the history that names it."""

from pathlib import Path

import keras

from pipeline import artifacts
from pipeline.documents.history import History


def write_model(out: Path, model: keras.Model, history: History) -> History:
    """Write model and history; the history names the model's SHA-256, so that it applies to no other model.

    Returns:
        The history that is written.
    """
    with artifacts.atomic_path(out / artifacts.MODEL_KERAS) as temporary:
        model.save(temporary)
        history = history.model_copy(update={"model_sha256": artifacts.sha256(temporary.read_bytes())})
    history.write(out)
    return history
