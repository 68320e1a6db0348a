"""The tables of the sections made from benchmarks: all numbers of the charts, and further ones."""

from pipeline.documents.benchmark import Benchmark, Contender, Ratio
from pipeline.report.figures import tradeoff
from pipeline.report.figures.latency import detail, threads
from pipeline.report.numbers import NONE, optional, share, size
from pipeline.report.sections import Table

WHO = "contender"


def latencies(name: str, device: Benchmark) -> Table:
    """Build the table of percentiles, ratios and images per second; contenders that did not run give the reason."""
    batches = sorted({size for row in device.contenders for size in row.images_per_s}, key=int)
    rows: list[tuple[str, ...]] = [
        (
            _who(row),
            *(f"{value:,.1f}" for value in (latency.p50, latency.p90, latency.p99, latency.worst)),
            _ratio(row.ratio_to_best),
            of_keras(row),
            *(optional(row.images_per_s.get(batch), ",.0f") for batch in batches),
        )
        for row, latency in device.timed
    ]
    rows += [(_who(row), str(row.missing)) for row in device.contenders if row.missing]
    header = (
        WHO,
        "p50 µs",
        "p90",
        "p99",
        "worst",
        "of the best",
        "of Keras's",
        *(f"{'images/s ' if n == batches[0] else ''}at {n}" for n in batches),
    )
    return Table(header, rows, f"{name}, throttled" if device.conditions.throttled else name)


def across(devices: dict[str, Benchmark]) -> list[Table]:
    """Build a table of the medians of all devices side by side; none for fewer than two devices."""
    if len(devices) < 2:
        return []
    columns = [{_who(row): latency.p50 for row, latency in device.timed} for device in devices.values()]
    contenders = dict.fromkeys(who for column in columns for who in column)
    rows = [(who, *(optional(column.get(who), ",.1f") for column in columns)) for who in contenders]
    return [Table((WHO, *devices), rows, "Median in µs on each device")]


def worth(name: str, device: Benchmark) -> Table:
    """Build the table of latency, accuracy and size, with a mark for the Pareto front."""
    found = tradeoff.points(device)
    best = {id(row) for row, _, _ in tradeoff.front(found)}
    rows = [
        (
            _who(row),
            f"{latency:.1f}",
            share(accuracy, row.accuracy_images),
            share(row.agreement, row.accuracy_images),
            size(row.bytes) if row.bytes else NONE,
            "yes" if id(row) in best else "",
        )
        for row, latency, accuracy in found
    ]
    header = (WHO, "p50 µs", "accuracy", "top-1 agreement", "size", "on the front")
    return Table(header, rows, name)


def end_to_end(name: str, device: Benchmark) -> Table:
    """Build the table of the time of each stage, in milliseconds."""
    rows = [
        (
            f"{row.artifact}\n{device.engine(row.backend)}, {threads(row.threads)}",
            f"{row.photo.format} {row.photo.width}×{row.photo.height}, {size(row.photo.bytes)}",
            *(
                f"{part / 1000:.3f}"
                for part in (row.read_us, row.decode_us, row.resize_us, row.inference_us, row.total_us)
            ),
        )
        for row in sorted(device.end_to_end, key=lambda row: row.total_us)
    ]
    return Table(("file", "photo", "read ms", "decode", "resize", "inference", "all"), rows, name, left=2)


def costs(name: str, device: Benchmark) -> Table:
    """Build the table of load time, first result, cold start and peak memory."""
    rows = [
        (
            _who(row),
            optional(row.load_ms),
            optional(row.first_result_ms),
            optional(row.cold_start_ms),
            optional(row.peak_memory_bytes, ".1f", 2**20),
        )
        for row, _ in device.timed
    ]
    return Table((WHO, "load ms", "first result ms", "cold start ms", "peak memory MiB"), rows, name)


def _who(row: Contender) -> str:
    return f"{row.file}\n{detail(row)}"


def of_keras(row: Contender) -> str:
    """Format a contender's latency as a ratio to Keras's, with the interval."""
    return _ratio(row.ratio_to_keras, 3)


def _ratio(ratio: Ratio | None, digits: int = 2) -> str:
    if ratio is None:
        return NONE
    return f"{ratio.value:.{digits}f} [{ratio.low:.{digits}f}, {ratio.high:.{digits}f}]"
