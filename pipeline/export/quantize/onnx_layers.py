"""The layers of a float ONNX graph, and the sizes of its tensors."""

import math

import onnx

from pipeline.export.quantize.layer import Layer

COMPUTING = (
    "Conv",
    "MatMul",
    "Gemm",
    "Add",
    "Mul",
    "GlobalAveragePool",
    "AveragePool",
    "Concat",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
)
PASSING = ("Relu", "Clip", "MaxPool", "Transpose", "Reshape", "Flatten", "Pad", "Squeeze", "Unsqueeze")


def layers_of(graph: onnx.GraphProto) -> tuple[Layer, ...]:
    """List the layers of a graph: every computing node, with the nodes after it that only pass its values on."""
    owner: dict[str, int] = {}
    work = _multiplications(graph)
    found: list[tuple[list[str], list[str], str]] = []
    for node in graph.node:
        if is_last_sigmoid(node, graph):
            continue
        if node.op_type in COMPUTING:
            owner[node.output[0]] = len(found)
            found.append(([node.name], list(node.input), node.output[0]))
        elif node.op_type in PASSING and node.input[0] in owner:
            index = owner[node.output[0]] = owner[node.input[0]]
            nodes, inputs, output = found[index]
            found[index] = ([*nodes, node.name], inputs, node.output[0] if node.op_type in ("Relu", "Clip") else output)
    return tuple(
        Layer(output, tuple(nodes), tuple(sorted({owner[name] for name in inputs if name in owner})), work[nodes[0]])
        for nodes, inputs, output in found
    )


def is_last_sigmoid(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    """Return whether a node is the final sigmoid of a multi-label model, which stays in float."""
    return bool(node.op_type == "Sigmoid" and node.output[0] == graph.output[0].name)


def _multiplications(graph: onnx.GraphProto) -> dict[str, int]:
    """Count the multiplications per image of each node, by its name: number of weights times output positions."""
    weights = {constant.name: math.prod(constant.dims) for constant in graph.initializer}
    shapes = {
        value.name: [extent.dim_value for extent in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    counts = {}
    for node in graph.node:
        own = weights.get(node.input[1], 0) if node.op_type in ("Conv", "MatMul", "Gemm") else 0
        places = math.prod(shapes.get(node.output[0], ())[2:]) if node.op_type == "Conv" else 1
        counts[node.name] = own * places
    return counts


def value_counts(graph: onnx.GraphProto) -> dict[str, int]:
    """Count the values of each tensor for one image, by its name."""
    return {
        value.name: math.prod(extent.dim_value or 1 for extent in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output)
    }


def groups(names: list[str], counts: dict[str, int], most: int) -> list[list[str]]:
    """Divide tensors into consecutive groups whose float32 values for one image take at most ``most`` bytes.

    A larger tensor is a group of its own.

    Args:
        names: names of the tensors.
        counts: number of values of each tensor for one image, by name.
        most: size of a group in bytes.
    """
    groups: list[list[str]] = []
    taken = most
    for name in names:
        own = 4 * counts.get(name, 0)
        if not groups or taken + own > most:
            groups.append([])
            taken = 0
        groups[-1].append(name)
        taken += own
    return groups
