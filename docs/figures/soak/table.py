"""Write the table of the soak test into ``docs/field.md``, a row for each fault."""

from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from pipeline.text import table

DOCUMENT = Path("docs/field.md")
TITLES = {
    "broker_gone": "broker ends and comes back",
    "wrong_password": "broker refuses the password for a while",
    "camera_unplugged": "camera is unplugged and plugged in",
    "camera_silent": "camera stays connected and gives nothing",
    "frames_cut_off": "camera sends the first half of each frame",
    "disk_full": "disk of kept frames is full",
    "folder_gone": "folder of kept frames is moved away",
    "clock_jumps": "clock jumps forward by a year, back by ten",
    "half_written_files": "`watch` finds 10,000 half-written files",
    "terminated_while_writing": "SIGTERM while a frame is written",
    "power_cut": "SIGKILL while a frame is written",
}


def publish(found: dict[str, Any], document: Path = DOCUMENT) -> None:
    """Write the table between its markers."""
    replace_marked(document, "soak", soak_text(found))


def soak_text(found: dict[str, Any]) -> str:
    """Format the table, and a sentence with the totals."""
    rows = [
        [TITLES[name], str(row["times"]), str(row["as_promised"]), f"{row['longest_s']:.0f} s"]
        for name, row in found["faults"].items()
    ]
    header = ["fault", "times", "as promised", "with recovery at most"]
    memory = found["memory"]
    grown = ""
    if memory:
        grown = (
            f" Memory was {memory['second_quarter_mb']:.1f} MB in the second quarter of {memory['minutes']:.0f} "
            f"minutes and {memory['last_quarter_mb']:.1f} MB in the last one."
        )
    text = (
        f"In {found['minutes']:.0f} minutes at {found['frames_a_second']:g} frames a second, "
        f"{found['scenes_that_had_to_begin_an_event']:,} scenes had to begin an event; {found['events']:,} events were "
        f"printed and {found['published']:,} messages of events published, and {found['requests']:,} requests to the "
        f"page were made.{grown} {_verdict(found['faults_found'])}"
    )
    return f"{table(header, rows, 'lrrr')}\n\n{text}"


def _verdict(faults: list[str]) -> str:
    if not faults:
        return "No event was lost, and all kept frames were whole."
    return f"Promises that were not kept: {'; '.join(faults)}."
