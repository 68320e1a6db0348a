"""Format a benchmark report as text for a terminal."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from runtime.benchmark.document import RECORDED, Benchmark, EndToEnd, Missing, Row
from runtime.benchmark.environment import throttled
from runtime.benchmark.statistics import Latency, Ratio
from runtime.replay import ReplayResult
from runtime.text import columns, for_terminal, plural

PARTS = ("read", "decode", "resize", "inference", "total")
LATENCY = ("p50", "p90", "p99", "worst", "images/s")
RATIO, AGAINST_KERAS = ("of best", "95 %"), ("of Keras", "95 %")
COSTS = ("load ms", "first ms", "cold ms", "peak MiB", "file KiB")
BATCH = "64"

Timed = tuple[Row, Latency]
RowT = TypeVar("RowT")


def format_benchmark(report: Benchmark) -> str:
    """Format the device, then tables with a line per contender, the fastest first; then the contenders without figures.

    The tables show latency; ratios and accuracy; start-up and memory; classification of a photo file. Without Keras
    none is wider than 80 columns.
    """
    timed = [(row, row.latency_us) for row in report.contenders if row.latency_us is not None]
    timed.sort(key=lambda pair: pair[1].p50)
    rows = [row for row, _ in timed]
    lines = [headline(report)]
    if rows:
        keras = rows[0].ratio_to_keras is not None
        judged = (*RATIO, *AGAINST_KERAS, "accuracy", "agreement") if keras else (*RATIO, "accuracy")
        lines += _section("One image in microseconds; images/s in batches of 64:", LATENCY, timed, _latency)
        recorded = f", {RECORDED}" * all((row.accuracy_on or "").endswith(RECORDED) for row in rows)
        lines += _section(f"Latency relative to the best; accuracy{recorded}:", judged, rows, _answers)
        lines += _section("Each in a process of its own:", COSTS, rows, _costs)
    for row in report.contenders:
        if row.missing:
            lines.append(for_terminal(f"{row.artifact}  {row.engine}: {why(row.missing)}"))
        elif row.golden and not row.golden.passed:
            lines.append(for_terminal(f"{row.artifact}  {_engine(row)}: {_otherwise(row.golden)}"))
    if report.end_to_end:
        titles = {row.backend: row.engine for row in report.contenders}
        photo = report.end_to_end[0].photo
        title = f"Photo to label in ms ({photo.width}x{photo.height} {photo.format}):"
        photos = sorted(report.end_to_end, key=lambda row: row.total_us)
        lines += _section(title, PARTS, photos, lambda row: _parts(row, titles[row.backend]))
    return "\n".join(lines)


def headline(report: Benchmark) -> str:
    """Format the device, its load and temperature, the images, and throttling if there was any."""
    device, before, after = report.device, report.conditions.before, report.conditions.after
    heat = "" if after.temperature_c is None else f", {after.temperature_c:.0f} °C"
    emulated = ", EMULATED" if device.emulated else ""
    text = (
        f"{device.name} ({device.machine}, {plural(device.cores, 'core')}{emulated}), load {before.load_average:.1f} "
        f"before and {after.load_average:.1f} after{heat}; {report.settings.image_source}"
    )
    held_back = throttled(before.throttled, after.throttled)
    return f"{text}\nTHROTTLED while it was measured: {', '.join(held_back)}" if held_back else text


def why(missing: Missing) -> str:
    """Say why a row has no figures, and what to do about it."""
    return f"FAILED: {missing.reason}" if missing.failed else f"{missing.reason}: {missing.install}"


def _otherwise(golden: ReplayResult) -> str:
    return (
        f"differs from its golden set by {golden.max_difference:.1e} (allowed {golden.tolerance:.1e}), "
        f"with the same class on {golden.same_class} of {plural(golden.images, 'image')}"
    )


def _section(
    title: str, header: tuple[str, ...], rows: Sequence[RowT], cells: Callable[[RowT], tuple[str, ...]]
) -> list[str]:
    lines = [("file", "engine", *header), *map(cells, rows)]
    return ["", title, *columns([tuple(map(for_terminal, line)) for line in lines], "llr")]


def _engine(row: Row) -> str:
    return f"{row.engine} x{row.threads}"


def _latency(timed: Timed) -> tuple[str, ...]:
    row, latency = timed
    percentiles = (latency.p50, latency.p90, latency.p99, latency.worst)
    return row.artifact, _engine(row), *(f"{value:.1f}" for value in percentiles), f"{row.images_per_s[BATCH]:,.0f}"


def _answers(row: Row) -> tuple[str, ...]:
    best = (row.artifact, _engine(row), *_ratio(row.ratio_to_best, 2))
    if row.ratio_to_keras is None:
        return (*best, _percent(row.accuracy))
    return (*best, *_ratio(row.ratio_to_keras, 3), _percent(row.accuracy), _percent(row.agreement))


def _costs(row: Row) -> tuple[str, ...]:
    started = (f"{value or 0:.0f}" for value in (row.load_ms, row.first_result_ms, row.cold_start_ms))
    memory = f"{(row.peak_memory_bytes or 0) / 2**20:.0f}"
    return (row.artifact, _engine(row), *started, memory, f"{row.bytes / 1024:.0f}")


def _parts(row: EndToEnd, title: str) -> tuple[str, ...]:
    parts = (row.read_us, row.decode_us, row.resize_us, row.inference_us, row.total_us)
    return (row.artifact, f"{title} x{row.threads}", *(f"{part / 1e3:.2f}" for part in parts))


def _ratio(ratio: Ratio | None, digits: int) -> tuple[str, str]:
    if ratio is None:
        return "-", "-"
    return f"{ratio.value:.{digits}f}", f"{ratio.low:.{digits}f}-{ratio.high:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
