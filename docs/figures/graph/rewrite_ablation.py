"""Measure the effect of each rewrite of the ONNX graph: int8 files built without it, timed against the full one."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from docs.figures.graph.bare_engines import onnx_run
from pipeline.export.load.deployable import Deployable
from pipeline.export.onnx import CLEANING, clean
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.onnx_int8 import GROUP, OnnxQuantizer
from pipeline.export.rewrites import fold_constants_and_normalization, free_batch, number_names
from pipeline.export.translate import translate
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure, single_images

WHOLE = "all"
NEEDED = (fold_constants_and_normalization, free_batch, number_names)
"""Rewrites that are always applied: the batch size cannot be made free without the first; the others do not affect
speed."""
GROUPS = (1, 2, 8)


def ablate_rewrites(deployable: Deployable, pixels: NDArray[np.uint8], rounds: int) -> dict[str, float | None]:
    """Measure the latency of one image on one thread without each rewrite, as a ratio to the file with all rewrites.

    Args:
        deployable: the network.
        pixels: uint8 (N, H, W, 3); only the first image calibrates, because the values hardly influence speed.
        rounds: of timing.

    Returns:
        Rewrite's name -> ratio; ``None`` if the rewrite does not change this network.
    """
    prepared = deployable.for_int8
    translated = translate(prepared)

    def cleaned(left_out: Any = None) -> onnx.ModelProto:
        network = onnx.ModelProto()
        network.CopyFrom(translated)
        return clean(network, [rewrite for rewrite in CLEANING if rewrite is not left_out])

    def build(network: onnx.ModelProto, group: int = GROUP) -> bytes:
        quantizer = OnnxQuantizer(network, prepared.network_scaling, pixels[:1], (1,), group)
        content: bytes = quantizer.build(QuantConfig(images=1)).SerializeToString(deterministic=True)
        return content

    network = cleaned()
    files: dict[str, bytes | None] = {WHOLE: build(network)}
    for rewrite in CLEANING:
        if rewrite not in NEEDED:
            other = cleaned(left_out=rewrite)
            files[f"without {rewrite.__name__}"] = None if other == network else build(other)
    for group in GROUPS:
        name = "without group_pixels" if group == 1 else f"groups of {group} pixels instead of {GROUP}"
        content = build(network, group)
        files[name] = None if content == files[WHOLE] else content
    runs = {name: onnx_run(content, pixels[:1]) for name, content in files.items() if content is not None}
    medians = {name: median_us(values) for name, values in measure(runs, single_images(pixels), rounds).items()}
    return {name: medians[name] / medians[WHOLE] if name in runs else None for name in files if name != WHOLE}


def format_ablation(by_network: dict[str, dict[str, float | None]]) -> str:
    """Format the ratios as a table with a column for each network."""
    lines = [f"{'int8 ONNX':<42}" + "".join(f"{network:>13}" for network in by_network)]
    for name in next(iter(by_network.values())):
        ratios = [ratios[name] for ratios in by_network.values()]
        lines.append(f"{name:<42}" + "".join(f"{'-' if ratio is None else f'{ratio:.2f}':>13}" for ratio in ratios))
    return "\n".join(lines)
