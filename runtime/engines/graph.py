"""A network's operators, in any format, and whether its outputs are probabilities or logits."""

from collections.abc import Callable
from typing import NamedTuple

PASSING = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear"),
)
"""Operators that leave the values of their first input as they are."""
ENDS = {
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "LogSoftmax": "logits",
    **dict.fromkeys(("Gemm", "MatMul", "Conv", "QGemm", "QLinearMatMul", "QLinearConv"), "logits"),
    **dict.fromkeys(("MatMulInteger", "ConvInteger", "FusedMatMul"), "logits"),
}
"""The kind of an operator's output, where that is certain. Logits are the input of a softmax."""
LINEAR = ("Add", "Sub", "Mul", "Div", "ReduceMean", "AveragePool", "GlobalAveragePool")
"""With constants, they turn logits into logits: a bias, a scale, a mean over positions."""
MAX_DEPTH = 50
"""The number of operators from the end that are examined."""


class Node(NamedTuple):
    """An operator, by the name that ONNX has for it, and the names of its tensors."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph(NamedTuple):
    """Operators and the names of the tensors that they answer with."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def output_kind(self) -> str | None:
        """``softmax``, ``logits`` or ``sigmoid``, as the last operators have it; ``None`` where that is uncertain."""
        producers = {name: node for node in self.nodes for name in node.outputs}
        kinds: dict[str, str | None] = {}

        def kind(name: str, depth: int) -> str | None:
            if name not in kinds:
                kinds[name] = None  # what follows from itself is of no kind
                kinds[name] = _kind(producers.get(name), lambda other: kind(other, depth - 1)) if depth else None
            return kinds[name]

        found = kind(self.outputs[0], MAX_DEPTH) if len(self.outputs) == 1 else None
        return found if found in ENDS.values() else None

    def last_operator(self) -> str:
        """The name of the operator that answers."""
        return next((node.operator for node in self.nodes if set(self.outputs) & set(node.outputs)), "none")


def _kind(node: Node | None, kind_of: Callable[[str], str | None]) -> str | None:
    """What a node answers with; ``constant`` for what does not follow from the image, or is the scale of its values."""
    if node is None or node.operator in ("Constant", "DynamicQuantizeLinear"):
        return "constant"
    if node.operator in PASSING:
        return kind_of(node.inputs[0]) if node.inputs else None
    if node.operator in LINEAR:
        kinds = {kind_of(each) for each in node.inputs}
        return "constant" if kinds == {"constant"} else "logits" if kinds - {"constant"} == {"logits"} else None
    return ENDS.get(node.operator)
