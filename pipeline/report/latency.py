"""The sections made from benchmarks: latency, accuracy against latency, end to end, memory and cold start."""

from collections.abc import Callable, Iterable
from typing import Any

from matplotlib.figure import Figure

from pipeline import artifacts
from pipeline.documents.benchmark import Benchmark, Contender
from pipeline.report.figures import latency, resources, stages, tradeoff
from pipeline.report.figures.style import picture
from pipeline.report.gather import Facts
from pipeline.report.latency_tables import across, costs, end_to_end, latencies, worth
from pipeline.report.numbers import listed, size
from pipeline.report.sections import Absent, Chart, Section
from runtime.spec import OUT_OF_FOLD
from runtime.text import plural


def sections(facts: Facts) -> list[Section]:
    """Build the sections in the order of the page; without a benchmark, one section that says so."""
    absent = [facts.absent[artifacts.BENCHMARK]] if artifacts.BENCHMARK in facts.absent else []
    if not facts.devices:
        lead = "Latency, accuracy against latency, photo to label, memory and cold start have not been measured yet."
        return [Section("latency", "Latency", lead, missing=absent)]
    return [_latency(facts, absent), _tradeoff(facts), _stages(facts), _contenders(facts), _resources(facts)]


def _latency(facts: Facts, absent: list[Absent]) -> Section:
    charts = _charts(facts, "latency", latency.draw, lambda device: device if device.timed else None, conditions)
    lead = (
        "One image at a time. A bar ends at the median, which is written beside the name; a whisker ends at the 99th "
        "percentile. A bar with a break or a whisker with an arrow goes beyond the edge. The table of contenders has "
        "every number."
    )
    missing = [*absent, *_missing(facts, charts, "no engine ran")]
    return Section("latency", "Latency", lead, charts, missing=missing, tall=True)


def _contenders(facts: Facts) -> Section:
    tables = [*across(facts.devices), *(latencies(name, device) for name, device in facts.devices.items())]
    lead = "Ratios are of medians, with their 95 % bootstrap intervals in brackets."
    return Section("contenders", "Every contender", lead, tables=tables, tables_open=True)


def _tradeoff(facts: Facts) -> Section:
    def caption(device: Benchmark) -> str:
        found = tradeoff.points(device)
        best = tradeoff.front(found)
        named = listed(
            [f"{tradeoff.letter(number)} {row.file} ({row.engine})" for number, (row, _, _) in enumerate(best)]
        )
        return f"Pareto front: {named}. {judged(row for row, _, _ in found)}".rstrip()

    charts = _charts(
        facts, "tradeoff", tradeoff.draw, lambda device: device if tradeoff.points(device) else None, caption
    )
    lead = (
        "Area shows file size, shape and color show the engine. A point right of and below another one is slower and "
        "less accurate. The accuracy axis spans eight standard errors or more, so that chance differences look small."
    )
    tables = [worth(name, device) for name, device in facts.devices.items() if tradeoff.points(device)]
    missing = _missing(facts, charts, "no file's accuracy is known")
    return Section("tradeoff", "Accuracy against latency", lead, charts, tables=tables, missing=missing)


def _stages(facts: Facts) -> Section:
    charts = _charts(facts, "stages", stages.draw, lambda device: device if device.end_to_end else None, _photos)
    tables = [end_to_end(name, device) for name, device in facts.devices.items() if device.end_to_end]
    missing = _missing(facts, charts, "no photo was timed end to end")
    lead = (
        "Medians, the fastest first. The number beside a name is the time of the whole call, measured separately. A "
        "bar with a break goes beyond the edge. Bars show the fewest threads; the table has all."
    )
    return Section("end-to-end", "From photo to label", lead, charts, tables=tables, missing=missing)


def _photos(device: Benchmark) -> str:
    """Describe the photos that were timed: format, size in pixels and bytes."""
    photos = dict.fromkeys(row.photo for row in device.end_to_end)
    return listed([f"{photo.format} of {photo.width}×{photo.height} pixels, {size(photo.bytes)}" for photo in photos])


def _resources(facts: Facts) -> Section:
    def shown(device: Benchmark) -> tuple[Contender, ...] | None:
        """Return each file and engine once, with the fewest threads, in the order of their latencies."""
        found = [row for row, _ in device.timed if row.peak_memory_bytes or row.cold_start_ms]
        fewest: dict[tuple[str, str], Contender] = {}
        for row in sorted(found, key=lambda row: row.threads):
            fewest.setdefault((row.file, row.backend), row)
        kept = {id(row) for row in fewest.values()}
        return tuple(row for row in found if id(row) in kept) or None

    charts = _charts(facts, "resources", resources.draw, shown)
    tables = [costs(name, device) for name, device in facts.devices.items() if shown(device)]
    missing = _missing(facts, charts, "no process was measured alone")
    lead = (
        "Each contender ran in a process of its own; bars show the fewest threads. Cold start: from the start of "
        "Python to the first answer."
    )
    return Section("resources", "Memory and cold start", lead, charts, tables=tables, missing=missing, tall=True)


def _charts(
    facts: Facts,
    name: str,
    draw: Callable[[Any], Figure],
    data: Callable[[Benchmark], Any],
    caption: Callable[[Benchmark], str] = lambda _: "",
) -> list[Chart]:
    """Draw a chart for each device that has the data; ``data`` returns what ``draw`` takes, or ``None``."""
    charts = []
    for number, (title, device) in enumerate(facts.devices.items()):
        found = data(device)
        if found is not None:
            chart = f"{name}-{number}"
            svg = picture(chart, f"{name} on {title}", draw, found)
            charts.append(Chart(chart, title, svg, caption(device), caveats(device)))
    return charts


def _missing(facts: Facts, charts: list[Chart], why: str) -> list[Absent]:
    """Name the devices that have no chart, each with the reason ``why``."""
    drawn = {chart.title for chart in charts}
    return [Absent(f"{name}: {why}") for name in facts.devices if name not in drawn]


def conditions(device: Benchmark) -> str:
    """Describe the machine, and its load and temperature before and after."""
    machine, before, after = device.device, device.conditions.before, device.conditions.after
    parts = [f"{machine.cpu} ({machine.machine}), {plural(machine.cores, 'core')}"]
    if machine.emulated:
        parts.append("emulated: ratios and times do not hold for the real board")
    if machine.governor:
        parts.append(f"governor {machine.governor}")
    parts.append(f"load {before.load_average:.1f} before, {after.load_average:.1f} after")
    if before.temperature_c is not None and after.temperature_c is not None:
        parts.append(f"{before.temperature_c:.0f} °C before, {after.temperature_c:.0f} °C after")
    return f"{'; '.join(parts)}. {device.created[:10]}."


def judged(rows: Iterable[Contender]) -> str:
    """Say on which images the accuracies of the rows were measured, and which of them are estimates."""
    return " ".join(dict.fromkeys(_judged(row) for row in rows if row.accuracy_on))


def _judged(row: Contender) -> str:
    count = f"{row.accuracy_images:,} " * row.is_recorded if row.accuracy_images else ""
    estimated = row.is_recorded and OUT_OF_FOLD in (row.accuracy_on or "")
    return f"Accuracy on {count}{row.accuracy_on}{'; for exported files it is an estimate' * estimated}."


def caveats(device: Benchmark) -> str:
    """Say whether the processor was throttled or busy with other work; empty if not."""
    held, load, cores = device.conditions.throttled, device.conditions.before.load_average, device.device.cores
    said = [f"Throttled ({listed(held)}): these times are too long."] if held else []
    if load > cores:
        busy = f"Other work kept the machine busy (load {load:.1f} on {plural(cores, 'core')})"
        said.append(f"{busy}: times are too long; ratios hold within their intervals.")
    return " ".join(said)
