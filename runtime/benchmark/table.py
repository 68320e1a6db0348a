"""The benchmark as text for a terminal."""

from collections.abc import Iterable
from typing import Any

from runtime.benchmark.environment import throttled

PARTS = ("read", "decode", "resize", "inference", "total")
FIGURES = ("p50 us", "p90", "p99", "worst", "of best", "95 %", "img/s x64", "cold ms", "MiB", "KiB", "accuracy")
HEADER = ("file", "engine", "threads", *FIGURES)
AGAINST_KERAS = ("of Keras", "95 %", "agreement")


def format_benchmark(report: dict[str, Any]) -> str:
    """The device, a line a contender with the fastest first, those without figures, and the way from photo to label."""
    rows = [row for row in report["contenders"] if row["missing"] is None]
    rows.sort(key=lambda row: float(row["latency_us"]["p50"]))
    lines = [headline(report)]
    if rows:
        with_keras = rows[0]["ratio_to_keras"] is not None
        header = (*HEADER, *AGAINST_KERAS) if with_keras else HEADER
        lines += columns([header, *((*_cells(row), *(_against_keras(row) if with_keras else ())) for row in rows)])
    for row in report["contenders"]:
        if row["missing"]:
            lines.append(f"{row['artifact']}  {row['engine']}: {why(row['missing'])}")
        elif row["golden"] and not row["golden"]["passed"]:
            lines.append(f"{row['artifact']}  {row['engine']} x{row['threads']}: {_otherwise(row['golden'])}")
    parts = [
        (row["artifact"], row["backend"], *(f"{row[f'{part}_us'] / 1e3:.2f}" for part in PARTS))
        for row in sorted(report["end_to_end"], key=lambda row: float(row["total_us"]))
    ]
    if parts:
        photo = report["end_to_end"][0]["photo"]
        lines += ["", f"Photo to label in ms ({photo['width']}x{photo['height']} {photo['format']}):"]
        lines += columns([("file", "engine", *PARTS), *parts])
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


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    latency = row["latency_us"]
    return (
        row["artifact"],
        row["engine"],
        str(row["threads"]),
        *(f"{latency[name]:.1f}" for name in ("p50", "p90", "p99", "worst")),
        *_ratio(row["ratio_to_best"], 2),
        f"{row['images_per_s']['64']:,.0f}",
        f"{row['cold_start_ms']:.0f}",
        f"{row['peak_memory_bytes'] / 2**20:.0f}",
        f"{row['bytes'] / 1024:.0f}",
        _percent(row["accuracy"]),
    )


def _against_keras(row: dict[str, Any]) -> tuple[str, ...]:
    return (*_ratio(row["ratio_to_keras"], 3), _percent(row["agreement"]))


def _ratio(ratio: dict[str, float], digits: int) -> tuple[str, str]:
    return f"{ratio['value']:.{digits}f}", f"{ratio['low']:.{digits}f}-{ratio['high']:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of aligned cells, the first two to the left."""
    rows = list(rows)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
