"""Ship a trained model as the reference: the few files in git that ``make export`` starts from."""

from pathlib import Path

from pipeline import artifacts
from pipeline.data import samples
from pipeline.export import export
from pipeline.export.load.model import Source
from pipeline.verify.parity import format_report, verify


def ship(train_folder: Path, out: Path) -> bool:
    """Export the trained model into ``out`` and verify it.

    Returns:
        Whether every artifact passed.
    """
    if not (out / artifacts.SAMPLES).exists():
        samples.write(out)
    export(Source(train_folder / artifacts.MODEL_KERAS), out)
    report = verify(out)
    (out / artifacts.MISTAKES).unlink(missing_ok=True)  # pictures for the report of an export folder
    print(format_report(report))
    return report.passed
