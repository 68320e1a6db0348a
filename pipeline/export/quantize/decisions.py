"""The search's decision log, shortened for the screen."""

from typing import Any


def format_decisions(manifest: dict[str, Any]) -> str:
    """For each int8 file what was tried and what won; of the calibrations only the best of each method."""
    if not manifest["decisions"]:
        return ""
    validation = manifest["validation"]
    judged_on = f"{validation['images']:,} validation images (Keras: {validation['keras_accuracy']:.2%} right)"
    lines = [f"Recipes, judged on {judged_on}; latency against the best calibration's:"]
    for name, decision in manifest["decisions"].items():
        header = ("accuracy", "lost", "p", "agreement", "mean diff", "latency")
        lines += ["", f"{name:<72}" + "".join(f"{text:>10}" for text in header)]
        lines += [_line(candidate, decision) for candidate in _shown(decision)]
        won = next(entry for entry in decision["candidates"] if entry["recipe"] == decision["recipe"])
        if won["breaches"]:
            lines.append(f"  FAILED THE GATE: {'; '.join(won['breaches'])}")
    return "\n".join(lines)


def _shown(decision: dict[str, Any]) -> list[dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    others = []
    for candidate in decision["candidates"]:
        method = candidate["recipe"]["method"]
        if candidate["stage"] != "calibration":
            others.append(candidate)
        elif method not in best or _order(candidate, decision) < _order(best[method], decision):
            best[method] = candidate
    return [*best.values(), *others]


def _order(candidate: dict[str, Any], decision: dict[str, Any]) -> tuple[bool, bool, float]:
    """The winner before all, what was timed before what was not, then by closeness to Keras."""
    return (
        candidate["recipe"] != decision["recipe"],
        candidate["latency_ratio"] is None,
        candidate["mean_difference"],
    )


def _line(candidate: dict[str, Any], decision: dict[str, Any]) -> str:
    mark = "*" if candidate["recipe"] == decision["recipe"] else "x" if candidate["breaches"] else " "
    latency = "-" if candidate["latency_ratio"] is None else f"{candidate['latency_ratio']:.2f}"
    text = candidate["summary"] if len(candidate["summary"]) <= 68 else candidate["summary"][:67] + "…"
    line = (
        f" {mark} {text:<69}{candidate['accuracy']:>10.2%}{candidate['lost_points']:>10.2f}"
        f"{candidate['p_value']:>10.2g}{candidate['agreement']:>10.2%}{candidate['mean_difference']:>10.1e}{latency:>10}"
    )
    return line if not candidate["stage"].startswith("back") else f"   {candidate['stage']}\n{line}"


LEGEND = "* chosen; x fails the gate; lost: points against Keras; p: exact McNemar test of that loss"
