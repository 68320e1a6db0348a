"""Ship a trained model as the reference: the few files in git that ``make export`` starts from."""

import tempfile
from pathlib import Path

from PIL import Image

from pipeline import artifacts
from pipeline.data import samples
from pipeline.documents.history import history_for
from pipeline.export import export
from pipeline.export.load.model import Source
from pipeline.verify.parity import format_report, verify

SHIPPED_FILES = (artifacts.MODEL_KERAS, artifacts.INT8_ONNX, artifacts.INT8_TFLITE, artifacts.VERIFY)
EXAMPLE, EXAMPLE_LABEL, ENLARGED = "photo.jpg", "horse", 256
"""The photo of the README's first command: its file name, its class, and its side in pixels."""


def write_example(folder: Path) -> None:
    """Write the first test image of ``EXAMPLE_LABEL``, enlarged from 32 pixels, as a JPEG of a few KB."""
    test = samples.read_test(folder)
    image = Image.fromarray(test.pixels[test.labels.tolist().index(test.class_names.index(EXAMPLE_LABEL))])
    with artifacts.atomic_path(folder / EXAMPLE) as temporary:
        image.resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC).save(temporary, "JPEG", quality=85)


def ship_network(train_folder: Path, out: Path) -> bool:
    """Export and verify a further network; ship its Keras file, history, int8 files and ``verify.json`` in ``out``.

    Returns:
        Whether every model file passed.
    """
    with tempfile.TemporaryDirectory() as name:
        built = Path(name)
        export(Source(train_folder / artifacts.MODEL_KERAS), built)
        report = verify(built)
        print(format_report(report))
        for file in SHIPPED_FILES:
            artifacts.write_bytes(out / file, (built / file).read_bytes())
        digest = artifacts.sha256((built / artifacts.MODEL_KERAS).read_bytes())
    artifacts.write_bytes(out / artifacts.HISTORY, history_for(train_folder / artifacts.MODEL_KERAS, digest))
    return report.passed


def ship(train_folder: Path, out: Path) -> bool:
    """Export the trained model into ``out`` and verify it.

    Returns:
        Whether every model file passed.
    """
    if not (out / artifacts.SAMPLES).exists():
        samples.write(out)
    write_example(out)
    export(Source(train_folder / artifacts.MODEL_KERAS), out)
    report = verify(out)
    (out / artifacts.MISTAKES).unlink(missing_ok=True)  # pictures for the report of an export folder
    print(format_report(report))
    return report.passed
