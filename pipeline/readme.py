"""JSON -> the Markdown table of the README. Loads no model."""

from pathlib import Path

from pipeline import artifacts
from pipeline.errors import PipelineError

BEGIN, END = "<!-- artifacts: begin -->", "<!-- artifacts: end -->"


def markdown_table(folder: Path) -> str:
    """Size, accuracy, parity and latency of each artifact, out of ``verify.json`` and ``benchmark.json``."""
    verified = artifacts.read_json(folder / artifacts.VERIFY)
    measured = artifacts.read_json(folder / artifacts.BENCHMARK)
    contenders = measured["contenders"]
    lines = [
        "| file | engine | KiB | accuracy | same class as Keras | mean difference | latency p50 (µs) | of Keras's |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        _row("Keras", contenders, verified["keras_accuracy"], "", ""),
    ]
    for name, row in verified["artifacts"].items():
        lines.append(
            _row(f"`{name}`", contenders, row["accuracy"], f"{row['agreement']:.2%}", f"{row['mean_difference']:.1e}")
        )
    machine = measured["machine"]
    return "\n".join(
        [
            *lines,
            "",
            (
                f"Accuracy and parity on {verified['images']:,} test images; latency of one image on one thread of "
                f"{machine['cpu']} ({machine['architecture']}), contenders interleaved, load average "
                f"{measured['load_average']:.1f}. Differences are of probabilities (0-1)."
            ),
        ]
    )


def _row(name: str, contenders: dict[str, dict[str, float]], accuracy: float, agreement: str, difference: str) -> str:
    contender = contenders[name.strip("`")]
    ratio = contender["p50_us"] / contenders["Keras"]["p50_us"]
    cells = (
        name,
        str(contender["engine"]),
        f"{contender['bytes'] / 1024:.0f}",
        f"{accuracy:.2%}",
        agreement,
        difference,
        f"{contender['p50_us']:.0f}",
        f"{ratio:.4f}",
    )
    return "| " + " | ".join(cells) + " |"


def update_readme(readme: Path, folder: Path) -> None:
    """Replace what stands between the two markers in ``readme`` by the table of ``folder``.

    Raises:
        PipelineError: the markers are missing.
    """
    replace_between(readme, BEGIN, END, markdown_table(folder))


def replace_between(document: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two marker lines of a document.

    Raises:
        PipelineError: the markers are missing.
    """
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise PipelineError(f"{document}: expected the markers {begin} and {end}; put them where the table belongs")
    artifacts.write_bytes(document, f"{before}{begin}\n{text}\n{end}{after}".encode())
