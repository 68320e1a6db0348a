"""Write the table of the labeling loop into ``docs/field.md``."""

from pathlib import Path
from typing import Any

import numpy as np

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.metrics.significance import share_interval
from pipeline.text import table

FIGURES, DOCUMENT = Path("docs/field-loop.json"), Path("docs/field.md")
SHOWN = 3
"""Number of random draws that have a row."""


def publish(found: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the JSON document, and the table between its markers."""
    artifacts.write_json(path, found)
    replace_marked(document, "field-loop", loop_table(found))


def loop_table(found: dict[str, Any]) -> str:
    """Format a row for each network: accuracy, and shares of test photos and unknown photos that it rejects."""
    header = ["labels", "of unknown photos", "test photos right", "taken for none of the classes", "unknown rejected"]
    drawn = found["random"]
    cells = [["none", "", *_shares(found["before"])], _cells(f"{found['labels']} that the loop offers", found["loop"])]
    cells += [
        _cells(f"{found['labels']} at random, draw {number}", each) for number, each in enumerate(drawn[:SHOWN], 1)
    ]
    return f"{table(header, cells, 'lrrrr')}\n\n{_sentences(found)}"


def _cells(name: str, found: dict[str, Any]) -> list[str]:
    return [name, str(found["strangers_labeled"]), *_shares(found)]


def _shares(found: dict[str, Any]) -> list[str]:
    return [
        share(found["right"], found["photos"]),
        share(found["unknown"], found["photos"]),
        share(found["strangers_rejected"], found["strangers"]),
    ]


def _sentences(found: dict[str, Any]) -> str:
    loop, drawn, seen = found["loop"], found["random"], found["seen"]
    right = [each["right"] / each["photos"] for each in drawn]
    rejected = [each["strangers_rejected"] / each["strangers"] for each in drawn]
    better = sum(each["right"] < loop["right"] for each in drawn)
    stricter = sum(each["strangers_rejected"] < loop["strangers_rejected"] for each in drawn)
    return (
        f"The device saw {seen['photos']} photos of the classes and {seen['strangers']} unknown photos, took "
        f"{seen['known'] / seen['photos']:.0%} of the former and {seen['strangers_known'] / seen['strangers']:.0%} of "
        f"the latter for known, and kept {found['kept']} frames. The labels of the loop against none: "
        f"{loop['against_before']['only_new']} test photos right that were wrong, {loop['against_before']['only_old']} "
        f"wrong that were right (p = {loop['against_before']['p_value']:.2f}). Over {len(drawn)} random draws of "
        f"{found['labels']} labels, {np.mean(right):.1%} of the test photos are right on average ({min(right):.1%} to "
        f"{max(right):.1%}) and {np.mean(rejected):.1%} of the unknown photos are rejected ({min(rejected):.1%} to "
        f"{max(rejected):.1%}); the loop's labels are better than {better} of these draws in the first and than "
        f"{stricter} in the second."
    )


def share(count: int, total: int) -> str:
    """Format a share as a percentage with its 95 % interval."""
    low, high = share_interval(count / total, total)
    return f"{count / total:.1%} of {total} ({low:.1%} to {high:.1%})"
