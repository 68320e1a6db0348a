"""Format the candidates and decisions of the int8 search as a table, without the least important candidates."""

import math
from collections.abc import Callable
from functools import partial

from pipeline.documents.manifest import Candidate, Decision, Manifest
from pipeline.documents.shares import percent_of, share_of
from runtime.text import plural

HEADER = ("accuracy", "lost", "p", "agreement", "mean diff", "config")
COLUMNS = "{:>9}{:>7}{:>8}{:>11}{:>11}  {}"
"""The config is the last column, so that a narrow terminal wraps it and the other columns stay aligned."""
LEGEND = "* chosen; x fails the acceptance criteria; lost: points against Keras; p: exact McNemar test of that loss"


def format_decisions(manifest: Manifest) -> str:
    """Format the candidates and the winner of each int8 file; of the calibrations, only the best of each method."""
    if not manifest.decisions:
        return ""
    validation = manifest.validation
    accuracy, about = validation.keras_accuracy, "without labels: accuracy was not judged"
    if accuracy is not None:
        about = f"Keras: {share_of(accuracy, validation.images)} right"
    header = HEADER
    if validation.keras_macro_f1 is not None:
        macro_f1 = percent_of(validation.keras_macro_f1, validation.images)
        about = f"Keras: macro F1 {macro_f1}, too high: the thresholds were chosen on them"
        header = ("macro F1", *HEADER[1:])
    count = share_of if manifest.thresholds is None else percent_of
    share = partial(count, images=validation.images)
    judged_on = f"{plural(validation.images, 'validation image')} ({about})"
    lines = [f"Configs, judged on {judged_on}:"]
    for name, decision in manifest.decisions.items():
        lines += ["", name, f"  {COLUMNS.format(*header)}"]
        lines += [_line(candidate, decision, share) for candidate in _shown(decision)]
        screened = [candidate for candidate in decision.candidates if candidate.images is not None]
        if screened:
            others = plural(len(screened), "other config")
            lines.append(f"  {others}, farther from Keras on {screened[0].images} of the images")
        if decision.reason:
            lines.append(f"  {decision.reason}")
        if decision.winner and decision.winner.violations:
            lines.append(f"  FAILED: {'; '.join(decision.winner.violations)}")
    return "\n".join(lines)


def _shown(decision: Decision) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    others = []
    for candidate in decision.candidates:
        if candidate.images is not None:
            continue
        method = candidate.config.method if candidate.config else candidate.summary
        if candidate.stage != "calibration":
            others.append(candidate)
        elif method not in best or _order(candidate, decision) < _order(best[method], decision):
            best[method] = candidate
    return [*best.values(), *others]


def _order(candidate: Candidate, decision: Decision) -> tuple[bool, float]:
    """Sort key: the winner first, then by mean difference from Keras."""
    difference = candidate.mean_difference
    return candidate is not decision.winner, math.inf if difference is None else difference


def _line(candidate: Candidate, decision: Decision, share: Callable[[float], str]) -> str:
    mark = "*" if candidate is decision.winner else "x" if candidate.violations else " "
    difference = "-" if candidate.mean_difference is None else f"{candidate.mean_difference:.1e}"
    accuracy = ("-", "-", "-")
    if candidate.accuracy is not None and candidate.lost_points is not None:
        accuracy = (share(candidate.accuracy), f"{candidate.lost_points:.2f}", f"{candidate.p_value:.2g}")
    line = f"{mark} {COLUMNS.format(*accuracy, share(candidate.agreement), difference, candidate.summary)}"
    return line if not candidate.stage.startswith("back") else f"  {candidate.stage}\n{line}"
