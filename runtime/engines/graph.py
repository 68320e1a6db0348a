"""A network's operators, independent of the file format, and the kind of its output: probabilities or logits."""

from collections.abc import Callable
from typing import NamedTuple

PASSING = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear"),
)
"""Operators that do not change the values of their first input."""
ENDS = {
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "LogSoftmax": "logits",
    **dict.fromkeys(("Gemm", "MatMul", "Conv", "QGemm", "QLinearMatMul", "QLinearConv"), "logits"),
    **dict.fromkeys(("MatMulInteger", "ConvInteger", "FusedMatMul"), "logits"),
}
"""Operators whose output kind is certain; "logits" are the input of a softmax."""
LINEAR = ("Add", "Sub", "Mul", "Div", "ReduceMean", "AveragePool", "GlobalAveragePool")
"""Operators that turn logits into logits if their other inputs are constant: bias, scale, mean over positions."""
MAX_DEPTH = 50
"""Longest chain of operators, from the output back, that is examined."""


class Node(NamedTuple):
    """An operator, by its ONNX name, and the names of its input and output tensors."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph(NamedTuple):
    """The operators of a network, and the names of its output tensors."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def output_kind(self) -> str | None:
        """Infer ``softmax``, ``logits`` or ``sigmoid`` from the last operators; ``None`` if uncertain."""
        producers = {name: node for node in self.nodes for name in node.outputs}
        kinds: dict[str, str | None] = {}

        def kind(name: str, depth: int) -> str | None:
            if name not in kinds:
                kinds[name] = None  # a cycle has no kind
                kinds[name] = _kind(producers.get(name), lambda other: kind(other, depth - 1)) if depth else None
            return kinds[name]

        found = kind(self.outputs[0], MAX_DEPTH) if len(self.outputs) == 1 else None
        return found if found in ENDS.values() else None

    def last_operator(self) -> str:
        """Return the name of the operator that makes the output."""
        return next((node.operator for node in self.nodes if set(self.outputs) & set(node.outputs)), "none")


def _kind(node: Node | None, kind_of: Callable[[str], str | None]) -> str | None:
    """Return the kind of a node's output; ``constant`` if it does not depend on the image or quantizes."""
    if node is None or node.operator in ("Constant", "DynamicQuantizeLinear"):
        return "constant"
    if node.operator in PASSING:
        return kind_of(node.inputs[0]) if node.inputs else None
    if node.operator in LINEAR:
        kinds = {kind_of(each) for each in node.inputs}
        return "constant" if kinds == {"constant"} else "logits" if kinds - {"constant"} == {"logits"} else None
    return ENDS.get(node.operator)
