"""Gather the figures of ``docs/quantization.md`` from an export folder into one JSON, and write its tables."""

from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from docs.figures.files import BENCHMARK_GRAPH
from docs.figures.readme import listed_features
from pipeline import artifacts
from pipeline.documents.benchmark import Benchmark
from pipeline.documents.drift import DriftReport
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import Verification
from pipeline.errors import PipelineError
from pipeline.text import table
from runtime.engines.registry import default_engine

FIGURES = Path("docs/quantization.json")
DOCUMENT = Path("docs/quantization.md")
FLIPS_SHOWN = 3
SEARCHED = {
    "summary",
    "stage",
    "accuracy",
    "lost_points",
    "p_value",
    "agreement",
    "mean_difference",
    "violations",
}


def gather(folder: Path) -> dict[str, Any]:
    """Gather the figures from the documents of export, verify, bench, drift and ``docs.figures graph``.

    Raises:
        PipelineError: one of these commands was not run.
    """
    manifest = Manifest.read(folder)
    verified, drifted = Verification.read(folder), DriftReport.read(folder)
    graphs_file = folder / BENCHMARK_GRAPH
    if not graphs_file.is_file():
        raise PipelineError(f"{graphs_file}: not there; run python -m docs.figures graph {folder} first")
    graphs = artifacts.read_json(graphs_file)
    timed = Benchmark.read(folder)
    files = {
        name: {
            **row.model_dump(include={"bytes", "accuracy", "agreement", "mean_difference"}),
            "p50_us": timed.timed_row(name, str(default_engine(Path(name).suffix)))[1].p50,
        }
        for name, row in verified.measured.items()
    }
    return {
        "machine": timed.device.model_dump(),
        "test_images": verified.images,
        "keras_accuracy": verified.keras_accuracy,
        "files": files,
        "validation_images": manifest.validation.images,
        "criteria": manifest.criteria.model_dump(),
        "search": {
            name: {
                "winner": decision.summary,
                "tried": len(decision.candidates),
                "candidates": [
                    candidate.model_dump(mode="json", include=SEARCHED)
                    for candidate in decision.candidates
                    if candidate.stage not in ("calibration", "screening") or candidate.summary == decision.summary
                ],
            }
            for name, decision in manifest.decisions.items()
        },
        "bars": graphs["bars"],
        "optimizers": artifacts.read_json(FIGURES)["optimizers"],  # kept as python -m docs.figures optimizers wrote it
        "drift": {
            "layer_images": drifted.layer_images,
            "images": drifted.images,
            "layers": [layer.model_dump() for layer in drifted.layers],
            "artifacts": {
                name: {
                    "first_past": row.first_past,
                    "threshold_db": row.threshold_db,
                    "steepest": row.steepest.model_dump() if row.steepest else None,
                    "snr_db": {layer: found.snr_db for layer, found in row.layers.items()},
                    "flipped": len(row.flips),
                    "flips": [flip.model_dump(by_alias=True) for flip in row.flips[:FLIPS_SHOWN]],
                }
                for name, row in drifted.artifacts.items()
            },
        },
        **{name: graphs[name] for name in ("profile", "profile_tflite", "worth", "calls", "dense_us")},
    }


def sections(figures: dict[str, Any]) -> dict[str, str]:
    """Format the tables: name of the markers -> text."""
    return {
        "files": _files(figures),
        "drift": _drift(figures["drift"]),
        "search": "\n\n".join(_search(name, search) for name, search in figures["search"].items()),
        "bars": _bars(figures),
        "profile": _profile(figures["profile"]),
        "profile-tflite": _profile(figures["profile_tflite"]),
        "worth": _worth(figures["worth"]),
        "experiments": _experiments(figures),
        "optimizers": format_optimizers(figures["optimizers"]),
    }


def publish(figures: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the figures to ``path`` and the tables between the markers of ``document``."""
    artifacts.write_json(path, figures)
    for name, text in sections(figures).items():
        replace_marked(document, name, text)


def _files(figures: dict[str, Any]) -> str:
    rows = []
    for name, row in figures["files"].items():
        base = figures["files"].get(f"model_fp32.{name.rpartition('.')[2]}")
        ratio = "-" if base is None else f"{row['p50_us'] / base['p50_us']:.2f}"
        cells = [f"`{name}`", f"{row['bytes'] / 1024:.0f}", f"{row['accuracy']:.2%}", f"{row['agreement']:.2%}"]
        rows.append([*cells, f"{row['mean_difference']:.1e}", f"{row['p50_us']:.0f}", ratio])
    header = ["file", "KiB", "accuracy", "top-1 agreement", "mean difference", "p50 (µs)", "of the engine's fp32"]
    machine = figures["machine"]
    return (
        f"{table(header, rows)}\n\nKeras itself: {figures['keras_accuracy']:.2%} on {figures['test_images']:,} test "
        f"images. One image, one thread of {machine['cpu']}{listed_features(machine['features'])}."
    )


def _drift(drift: dict[str, Any]) -> str:
    files = drift["artifacts"]
    rows = []
    for layer in drift["layers"]:
        levels = [row["snr_db"].get(layer["name"]) for row in files.values()]
        rows.append([layer["name"], *("not found" if level is None else f"{level:.1f}" for level in levels)])
    lines = [table(["layer", *(f"`{name}`" for name in files)], rows), ""]
    for name, row in files.items():
        step = row["steepest"]
        most = f"; most is lost in {step['layer']} ({step['lost_db']:.1f} dB)" if step and step["lost_db"] > 0 else ""
        lines.append(
            f"- `{name}`: first layer below {row['threshold_db']:g} dB: {row['first_past'] or 'none'}{most}; "
            f"{row['flipped']:,} of {drift['images']:,} validation images change their class"
            + "".join(
                f"; the surest: image {flip['image']}, {flip['keras_class']} {flip['keras_probability']:.2f} to "
                f"{flip['class']} {flip['probability']:.2f}"
                for flip in row["flips"][:1]
            )
            + "."
        )
    return "\n".join([*lines, "", f"Signal-to-noise ratio in dB over {drift['layer_images']} validation images."])


def _search(name: str, search: dict[str, Any]) -> str:
    rows = []
    for candidate in search["candidates"]:
        verdict = "; ".join(candidate["violations"]) or (
            "**chosen**" if candidate["summary"] == search["winner"] else "passes"
        )
        figures = [f"{candidate['accuracy']:.2%}", f"{candidate['lost_points']:.2f}", f"{candidate['p_value']:.2g}"]
        rows.append([candidate["summary"], *figures, f"{candidate['agreement']:.2%}", verdict])
    header = ["config", "accuracy", "points lost", "p", "agreement", "verdict"]
    left_out = search["tried"] - len(rows)
    return (
        f"`{name}`, {search['tried']} configs tried; {left_out} calibrations are not listed:\n\n{table(header, rows)}"
    )


def _bars(figures: dict[str, Any]) -> str:
    rows = [
        [
            bar["name"],
            bar["against"],
            f"{bar['value']:.3f}",
            f"{bar['limit']:.2f}",
            "met" if bar["met"] else "**missed**",
        ]
        for bar in figures["bars"]
    ]
    return table(["file", "against", "ratio", "bar", ""], rows, "llr")


def _worth(worth: dict[str, dict[str, float | None]]) -> str:
    rows = [
        [
            name.replace("without ", ""),
            *("-" if ratios[name] is None else f"{ratios[name]:.2f}" for ratios in worth.values()),
        ]
        for name in next(iter(worth.values()))
        if name.startswith("without")
    ]
    return table(["time without", *worth], rows)


def format_optimizers(optimizers: dict[str, Any]) -> str:
    """Format nodes and transposes: a row for each optimizer, a column for each network."""
    rows = [
        [name, *(f"{nodes} ({transposes})" for nodes, transposes in counts.values())]
        for name, counts in optimizers["nodes"].items()
    ]
    networks = next(iter(optimizers["nodes"].values()))
    versions = ", ".join(f"{tool} {version}" for tool, version in optimizers["versions"].items())
    return f"{table(['nodes (transposes) of the fp32 graph', *networks], rows)}\n\n{versions}."


def _experiments(figures: dict[str, Any]) -> str:
    notes = next(iter(figures["worth"].values()))
    groups = {name: ratio for name, ratio in notes.items() if not name.startswith("without") and ratio is not None}
    ratios = [[name, f"{ratio:.2f}"] for name, ratio in (figures["calls"] | groups).items()]
    microseconds = [[f"`{name}`", f"{us:.1f}"] for name, us in figures["dense_us"].items()]
    return (
        f"{table(['tried', 'of the time'], ratios)}\n\n{table(['1,024 inputs to 500 outputs by', 'µs'], microseconds)}"
    )


def _profile(profile: list[dict[str, Any]]) -> str:
    total = sum(row["us"] for row in profile)
    rows = [
        [
            row["operator"] or "-",
            f"`{row['node']}`" if row["operator"] else row["node"],
            f"{row['us']:.1f}",
            f"{row['us'] / total:.0%}",
        ]
        for row in profile
    ]
    return table(["operator", "node", "µs", "share"], rows, "llr")
