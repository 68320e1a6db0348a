"""Make the names in a graph independent of earlier conversions in the same process."""

import onnx


def number_names(model: onnx.ModelProto) -> None:
    """Renumber the names that tf2onnx generates, ``…__17``, from 1, because its counter continues over all models."""
    graph, numbers = model.graph, dict[str, str]()

    def renumber(name: str) -> str:
        stem, mark, rest = name.rpartition("__")
        number, colon, port = rest.partition(":")
        if not mark or not number.isdecimal():
            return name
        return f"{stem}__{numbers.setdefault(number, str(len(numbers) + 1))}{colon}{port}"

    for node in graph.node:
        node.name = renumber(node.name)
        for names in (node.input, node.output):
            names[:] = [renumber(name) for name in names]
    for value in (*graph.initializer, *graph.value_info):
        value.name = renumber(value.name)
