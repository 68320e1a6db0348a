"""Ship a trained model as the reference: the few files in git that ``make export`` starts from."""

from pathlib import Path

from pipeline import artifacts
from pipeline.benchmark import SECONDS, benchmark
from pipeline.data import samples
from pipeline.export import export
from pipeline.export.load import Source
from pipeline.readme import update_readme
from pipeline.verify import format_report, verify
from runtime.benchmark.table import format_benchmark


def ship(train_folder: Path, out: Path) -> bool:
    """Export, verify and time the trained model into ``out`` and print its tables into ``README.md``.

    Returns:
        Whether every artifact passed; the README is left alone when one did not.
    """
    if not (out / artifacts.SAMPLES).exists():
        samples.write(out)
    export(Source(train_folder / artifacts.MODEL_KERAS), out)
    report = verify(out)
    print(format_report(report))
    if not report["passed"]:
        return False
    print(format_benchmark(benchmark(out, SECONDS)))
    update_readme(Path("README.md"), out)
    return True
