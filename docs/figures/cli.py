"""The command line of the maintainers' tools: ``python -m docs.figures COMMAND``."""

from docs.figures.commands import (
    accelerator,
    drift,
    experiments,
    field_loop,
    graph,
    kinds,
    large_int8,
    large_speed,
    many_photos,
    networks,
    optimizers,
    own_photos,
    pictures,
    quantization,
    quantize_aware,
    reading,
    readme,
    reference,
    rounding,
    runtime,
    soak,
)
from pipeline.cli import parse, run
from pipeline.commands import Command

COMMANDS: tuple[Command, ...] = (
    graph,
    runtime,
    reading,
    optimizers,
    experiments,
    field_loop,
    own_photos,
    many_photos,
    readme,
    networks,
    quantization,
    quantize_aware,
    reference,
    pictures,
    kinds,
    large_int8,
    large_speed,
    rounding,
    soak,
    drift,
    accelerator,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    description = "Measure the figures of the documents and print them there. Run it in the root of a clone."
    return run(lambda: parse(arguments, COMMANDS, "python -m docs.figures", description, ""))
