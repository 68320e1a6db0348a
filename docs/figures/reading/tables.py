"""Format the figures of ``docs.figures reading`` for the terminal and as the tables of ``docs/training.md``."""

from pathlib import Path
from typing import Any

from docs.figures.bars import format_bars
from docs.figures.documents import replace_marked
from docs.figures.reading import KERAS, OURS
from docs.figures.reading.parts import SCALES, WHOLE
from pipeline import artifacts
from pipeline.text import table

FIGURES = Path("docs/benchmark_data.json")
DOCUMENT = Path("docs/training.md")
SECTION = "reading"


def format_data_benchmark(report: dict[str, Any]) -> str:
    """Format rates and CPU time, the parts of reading a photo, and the claims."""
    lines = [
        f"JPEG files to squares of {report['side']} pixels ({_conditions(report)}):",
        f"{'files':<28}{'images/s':>10}{'Keras':>10}{'ratio':>7}{'processor ms':>15}{'Keras':>9}{'ratio':>7}",
    ]
    for name, measured in report["sets"].items():
        cells = f"{name:<28}"
        for figure, widths in (("images_per_second", (10, 10)), ("processor_ms", (15, 9))):
            ours, keras = _both(measured, figure)
            ratio = _advantage(measured, figure)
            cells += f"{ours:>{widths[0]}.2f}{keras:>{widths[1]}.2f}{ratio:>7.2f}"
        lines.append(cells)
    lines += ["", f"{'in a new process, seconds':<28}{'clock':>10}{'Keras':>10}{'':>7}{'processor':>15}{'Keras':>9}"]
    for name, measured in report["sets"].items():
        clock, processor = _both(measured, "new_process_s"), _both(measured, "new_process_processor_s")
        lines.append(f"{name:<28}{clock[0]:>10.2f}{clock[1]:>10.2f}{'':>7}{processor[0]:>15.2f}{processor[1]:>9.2f}")
    lines += [
        "",
        f"{'one photo, processor ms':<28}" + "".join(f"{f'at 1/{scale}':>10}" for scale in SCALES) + f"{WHOLE:>14}",
    ]
    for name, measured in report["sets"].items():
        cells = "".join(f"{measured['parts_ms'][f'1/{scale}']:>10.2f}" for scale in SCALES)
        lines.append(f"{name:<28}{cells}{measured['parts_ms'][WHOLE]:>14.2f}")
    lines += [
        "",
        f"Later epochs: {report['cached_images_per_second']:,.0f} images/s out of the cache; Keras decodes anew.",
        "",
    ]
    lines.append(format_bars(report["bars"]))
    if report["load_average"] > report["machine"]["cores"]:
        lines.append("The machine was busy with other work: the ratios of processor time say more than the rates.")
    return "\n".join(lines)


def markdown_tables(report: dict[str, Any]) -> str:
    """Format the tables of the document."""
    return "\n\n".join(
        [
            f"Squares of {report['side']} pixels; {_conditions(report)}; ratios above 1 say that ours is ahead.",
            _rates(report["sets"]),
            _parts(report["sets"]),
            f"Out of the cache: {report['cached_images_per_second']:,.0f} images/s.",
        ]
    )


def _rates(sets: dict[str, Any]) -> str:
    """Format rate, CPU time and time of a whole process, with their ratios."""
    header = ["JPEG", "KiB each", "images/s", "Keras", "ratio", "cpu ms each", "Keras", "ratio", "process, s"]
    rows = []
    for name, measured in sets.items():
        cells = [name, f"{measured['bytes_a_file'] / 1024:,.0f}"]
        for figure in ("images_per_second", "processor_ms", "new_process_s"):
            ours, keras = _both(measured, figure)
            cells += [f"{ours:,.1f}", f"{keras:,.1f}", f"**{_advantage(measured, figure):.2f}**"]
        rows.append(cells)
    return table([*header, "Keras", "ratio"], rows)


def _parts(sets: dict[str, Any]) -> str:
    """Format the CPU time of the parts of reading one photo."""
    decoders = [f"decoder at 1/{scale}" for scale in SCALES]
    header = ["one photo, one thread, processor ms", *decoders, f"`{WHOLE}`", "Keras's way / decoder at 1/8"]
    rows = []
    for name, measured in sets.items():
        times = measured["parts_ms"]
        cells = [name, *(f"{times[f'1/{scale}']:.2f}" for scale in SCALES), f"{times[WHOLE]:.2f}"]
        rows.append([*cells, f"{measured['ways'][KERAS]['processor_ms'] / times['1/8']:.2f}"])
    return table(header, rows)


def publish(report: dict[str, Any], figures: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the figures to JSON and the tables between their markers in the document."""
    artifacts.write_json(figures, report)
    replace_marked(document, SECTION, markdown_tables(report))


def _conditions(report: dict[str, Any]) -> str:
    machine = report["machine"]
    return (
        f"{machine['cores']} cores of {machine['cpu']}, load {report['load_average']:.1f}, "
        f"{report['rounds']} rounds taking turns"
    )


def _both(measured: dict[str, Any], figure: str) -> tuple[float, float]:
    return measured["ways"][OURS][figure], measured["ways"][KERAS][figure]


def _advantage(measured: dict[str, Any], figure: str) -> float:
    """Return the ratio by which ours is better: more images per second, or less time."""
    ours, keras = _both(measured, figure)
    return ours / keras if figure == "images_per_second" else keras / ours
