"""The benchmark as text for a terminal."""

from collections.abc import Callable, Iterable
from typing import Any

from runtime.benchmark.environment import throttled
from runtime.text import for_terminal

PARTS = ("read", "decode", "resize", "inference", "total")
LATENCY = ("p50", "p90", "p99", "worst", "images/s")
RATIO, AGAINST_KERAS = ("of best", "95 %"), ("of Keras", "95 %")
COSTS = ("load ms", "first ms", "cold ms", "peak MiB", "file KiB")


def format_benchmark(report: dict[str, Any]) -> str:
    """The device, then tables of a line a contender with the fastest first, and those without figures.

    The tables are of latency, of ratios and answers, of the costs of a process, and of the way from photo to label;
    none is wider than 80 columns where Keras takes no part.
    """
    rows = [row for row in report["contenders"] if row["missing"] is None]
    rows.sort(key=lambda row: float(row["latency_us"]["p50"]))
    lines = [headline(report)]
    if rows:
        keras = rows[0]["ratio_to_keras"] is not None
        judged = (*RATIO, *AGAINST_KERAS, "accuracy", "agreement") if keras else (*RATIO, "accuracy")
        lines += _section("One image in microseconds; images/s in batches of 64:", rows, LATENCY, _latency)
        lines += _section("How many times as long as the best; accuracy:", rows, judged, _judgement)
        lines += _section("Each in a process of its own:", rows, COSTS, _costs)
    for row in report["contenders"]:
        if row["missing"]:
            lines.append(for_terminal(f"{row['artifact']}  {row['engine']}: {why(row['missing'])}"))
        elif row["golden"] and not row["golden"]["passed"]:
            lines.append(for_terminal(f"{row['artifact']}  {_engine(row)}: {_otherwise(row['golden'])}"))
    titles = {row["backend"]: row["engine"] for row in report["contenders"]}
    photos = [row | {"engine": titles[row["backend"]]} for row in report["end_to_end"]]
    if photos:
        photo = photos[0]["photo"]
        title = f"Photo to label in ms ({photo['width']}x{photo['height']} {photo['format']}):"
        lines += _section(title, sorted(photos, key=lambda row: float(row["total_us"])), PARTS, _parts)
    return "\n".join(lines)


def headline(report: dict[str, Any]) -> str:
    """On what it was measured, and how that fared."""
    device, before, after = report["device"], report["conditions"]["before"], report["conditions"]["after"]
    heat = "" if after["temperature_c"] is None else f", {after['temperature_c']:.0f} °C"
    emulated = ", EMULATED" if device["emulated"] else ""
    text = (
        f"{device['name']} ({device['machine']}, {device['cores']} cores{emulated}), load {before['load_average']:.1f} "
        f"before and {after['load_average']:.1f} after{heat}; {report['settings']['image_source']}"
    )
    held_back = throttled(before, after)
    return f"{text}\nTHROTTLED while it was measured: {', '.join(held_back)}" if held_back else text


def why(missing: dict[str, Any]) -> str:
    """Why a row has no figures, and what to do."""
    return f"FAILED: {missing['reason']}" if missing["failed"] else f"{missing['reason']}: {missing['install']}"


def _otherwise(golden: dict[str, Any]) -> str:
    return (
        f"answers its golden set otherwise than when it was built, by {golden['max_difference']:.1e} (allowed "
        f"{golden['tolerance']:.1e}), with the same class on {golden['same_class']} of {golden['images']} images"
    )


def _section(
    title: str, rows: list[dict[str, Any]], header: tuple[str, ...], cells: Callable[[dict[str, Any]], tuple[str, ...]]
) -> list[str]:
    table = [("file", "engine", *header), *((row["artifact"], _engine(row), *cells(row)) for row in rows)]
    return ["", title, *columns(table)]


def _engine(row: dict[str, Any]) -> str:
    return f"{row['engine']} x{row['threads']}"


def _latency(row: dict[str, Any]) -> tuple[str, ...]:
    latency = row["latency_us"]
    return (*(f"{latency[name]:.1f}" for name in ("p50", "p90", "p99", "worst")), f"{row['images_per_s']['64']:,.0f}")


def _judgement(row: dict[str, Any]) -> tuple[str, ...]:
    best, accuracy = _ratio(row["ratio_to_best"], 2), _percent(row["accuracy"])
    if row["ratio_to_keras"] is None:
        return (*best, accuracy)
    return (*best, *_ratio(row["ratio_to_keras"], 3), accuracy, _percent(row["agreement"]))


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    started = (f"{row[name]:.0f}" for name in ("load_ms", "first_result_ms", "cold_start_ms"))
    return (*started, f"{row['peak_memory_bytes'] / 2**20:.0f}", f"{row['bytes'] / 1024:.0f}")


def _parts(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{row[f'{part}_us'] / 1e3:.2f}" for part in PARTS)


def _ratio(ratio: dict[str, float], digits: int) -> tuple[str, str]:
    return f"{ratio['value']:.{digits}f}", f"{ratio['low']:.{digits}f}-{ratio['high']:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of aligned cells, the first two to the left."""
    rows = [tuple(map(for_terminal, row)) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
