"""Read and check the graph of an ``.ncnn`` file, a text, before NCNN loads it.

NCNN does not check the text: a tensor that no layer makes, a wrong count or a huge size crashes it. Sources:
``Net::load_param`` and ``ParamDict::load_param`` of NCNN, and the page "param and model file structure" of its wiki.
"""

import re
from typing import NamedTuple

from runtime.engines.graph import Graph, Node
from runtime.text import plural

MAX_LAYERS = 10_000
MAX_NUMBER = 1 << 20
"""Largest absolute value of a parameter, unless the weights file has more bytes."""
_MAGIC = ["7767517"]
_OPEN_ENDS = (-233, 2**31 - 1)
"""Special values for "all" and "to the end"."""
_NAME = re.compile(r"[!-~]{1,200}")
_COUNT = re.compile(r"\d{1,5}", re.ASCII)
_PARAMETER = re.compile(r"(-233[0-2]\d|[012]?\d|3[01])=(\S{1,1000})", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,10}", re.ASCII)
_REAL = re.compile(r"-?\d{1,12}(\.\d{0,12})?(e[-+]?\d{1,2})?", re.ASCII)
_OPERATORS = {"InnerProduct": "Gemm", "Convolution": "Conv", "Noop": "Identity"}
"""ONNX names of NCNN layers, where they differ."""
_ACTIVATIONS = {"0": "", "4": "Sigmoid"}
"""Activation that is fused to such a layer, by the value of its parameter 9."""


class NcnnGraph(NamedTuple):
    """A checked graph.

    Attributes:
        source: name of the input tensor.
        width, height, channels: shape of the input image.
        graph: the operators.
    """

    source: str
    width: int
    height: int
    channels: int
    graph: Graph


class _Layer(NamedTuple):
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[str, str]

    @classmethod
    def read(cls, line: str, most: int) -> "_Layer":
        """Parse a line: kind, name, numbers of inputs and outputs, their names, parameters (at most ``most``).

        Raises:
            ValueError: not a layer, incomplete, or a number above ``most``.
        """
        words = line.split()
        counts = words[2:4]
        if len(counts) < 2 or not all(map(_COUNT.fullmatch, counts)) or not all(map(_NAME.fullmatch, words)):
            raise ValueError(f"{line[:60]!r} is not a layer")
        inputs, outputs = 4 + int(counts[0]), 4 + int(counts[0]) + int(counts[1])
        parameters = [_PARAMETER.fullmatch(word) for word in words[outputs:]]
        found = {match[1]: match[2] for match in parameters if match and _is_sound(match, most)}
        if len(words) < outputs or len(found) < len(parameters):
            raise ValueError(f"layer {words[1]} is incomplete, or has a number above {most:,}")
        return cls(words[0], tuple(words[4:inputs]), tuple(words[inputs:outputs]), found)


def read_ncnn(text: bytes, weights: int) -> NcnnGraph:
    """Read and check a graph.

    Args:
        text: the ``.param`` file.
        weights: size of the ``.bin`` file in bytes.

    Raises:
        ValueError: not an NCNN graph, or one that could crash NCNN.
    """
    lines = [line for line in text.decode("ascii").split("\n") if line.strip()]
    counts = lines[1].split() if len(lines) > 2 else []
    if not counts or lines[0].split() != _MAGIC or len(counts) != 2 or not all(map(_COUNT.fullmatch, counts)):
        raise ValueError("not an NCNN graph")
    if not int(counts[0]) == len(lines) - 2 <= MAX_LAYERS:
        raise ValueError(
            f"it declares {plural(int(counts[0]), 'layer')} and has {len(lines) - 2:,}, at most {MAX_LAYERS:,} are read"
        )
    layers = [_Layer.read(line, max(MAX_NUMBER, weights)) for line in lines[2:]]
    _check_tensors(layers, int(counts[1]))
    sources = [layer for layer in layers if not layer.inputs and layer.kind == "Input"]
    sizes = [layer.parameters.get(axis, "") for layer in sources for axis in "012"]
    if len(sources) != 1 or len(sources[0].outputs) != 1 or not all(map(_COUNT.fullmatch, sizes)):
        raise ValueError("it does not have one input of known width, height and channels")
    width, height, channels = map(int, sizes)
    return NcnnGraph(sources[0].outputs[0], width, height, channels, _graph(layers))


def _check_tensors(layers: list[_Layer], count: int) -> None:
    made: set[str] = set()
    for layer in layers:
        inputs, outputs = set(layer.inputs), set(layer.outputs)
        if not inputs <= made or outputs & made or not 0 < len(layer.outputs) == len(outputs):
            raise ValueError(f"a layer {layer.kind} reads a tensor that no earlier layer makes, or repeats an output")
        made |= outputs
    if len(made) != count:
        raise ValueError(f"it declares {plural(count, 'tensor')} and has {len(made):,}")


def _is_sound(parameter: re.Match[str], most: int) -> bool:
    """Return whether NCNN reads the parameter safely: numbers within bounds, an array of its declared length."""
    values = parameter[2].split(",")
    if parameter[1].startswith("-"):
        count, *values = values
        if not _COUNT.fullmatch(count) or int(count) != len(values):
            return False
    elif len(values) > 1:
        return False
    whole = [int(value) for value in values if _WHOLE.fullmatch(value)]
    return all(map(_REAL.fullmatch, values)) and all(abs(value) <= most or value in _OPEN_ENDS for value in whole)


def _graph(layers: list[_Layer]) -> Graph:
    nodes = []
    for layer in layers:
        fused = layer.parameters.get("9", "0") if layer.kind in _OPERATORS else "0"
        name = _ACTIVATIONS.get(fused, "activation") or _OPERATORS.get(layer.kind, layer.kind)
        nodes.append(Node(name, layer.inputs, layer.outputs))
    read = {name for layer in layers for name in layer.inputs}
    return Graph(tuple(nodes), tuple(name for layer in layers for name in layer.outputs if name not in read))
