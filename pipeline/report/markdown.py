"""The report as Markdown: the verdicts, and a table for each device."""

from pipeline.documents.benchmark import Contender
from pipeline.documents.verify import Measured
from pipeline.report import out_of_fold, verdicts
from pipeline.report.gather import Facts
from pipeline.report.latency import caveats, conditions, judged
from pipeline.report.latency_tables import of_keras
from pipeline.report.numbers import optional, share, small
from pipeline.text import code, for_markdown, table

HEADER = ("file", "engine", "threads", "KiB", "accuracy", "top-1 agreement", "mean difference")
LATENCY = ("p50 (µs)", "p99 (µs)", "of Keras's")


def markdown(facts: Facts) -> str:
    """Format the verdicts, and size, accuracy, parity and latency of each contender; names missing documents."""
    boxes = [*out_of_fold.verdicts(facts), *verdicts.accuracies(facts), *verdicts.verdicts(facts)[:2]]
    said = [
        f"**{row.name}: {row.word}{'.' * (row.state != 'figure' or bool(row.caveats))}** "
        f"{for_markdown(' '.join([*row.caveats, row.text]))}"
        for row in boxes
    ]
    parts = ["  \n".join(said), *(f"> {for_markdown(str(line))}" for line in (*facts.warnings, *facts.absent.values()))]
    for name, device in facts.devices.items():
        rows = [
            (*_row(facts, row), f"{latency.p50:.1f}", f"{latency.p99:.1f}", of_keras(row))
            for row, latency in device.timed
        ]
        rows += [
            (code(row.file), for_markdown(row.engine), str(row.threads), for_markdown(str(row.missing)))
            for row in device.contenders
            if row.missing
        ]
        notes = (conditions(device), caveats(device), judged(row for row, _ in device.timed))
        about = f"{name}: {' '.join(filter(None, notes))}"
        parts += [for_markdown(about), table((*HEADER, *LATENCY), rows, "llr")]
    return "\n\n".join(parts) + "\n"


def _row(facts: Facts, row: Contender) -> tuple[str, ...]:
    verified = facts.verified.artifacts.get(row.file) if facts.verified else None
    difference = small(verified.mean_difference) if isinstance(verified, Measured) else ""
    kib = optional(row.bytes, ".0f", 1024)
    about = (code(row.file), for_markdown(row.engine), str(row.threads), kib)
    shares = (share(value, row.accuracy_images) for value in (row.accuracy, row.agreement))
    return (*about, *shares, difference)
