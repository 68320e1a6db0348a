"""The runtime's reader of ONNX files, compared with the onnx package."""

import random

import onnx
import pytest
from google.protobuf.message import DecodeError

from fuzz.mutate import mutate
from runtime.engines.onnx_file import read_metadata
from runtime.engines.onnx_graph import MESSAGES
from runtime.errors import ModelFormatError

NAMES = {
    "ModelProto": "model",
    "TrainingInfoProto": "training",
    "FunctionProto": "function",
    "GraphProto": "graph",
    "NodeProto": "node",
    "AttributeProto": "attribute",
    "SparseTensorProto": "sparse tensor",
    "TensorProto": "tensor",
}


def leads_to_a_tensor(descriptor, seen=()):
    inner = [field.message_type for field in descriptor.fields if field.message_type]
    return descriptor.name == "TensorProto" or any(
        leads_to_a_tensor(each, (*seen, each)) for each in inner if each not in seen
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_a_tensor_is_known(name):
    descriptor = getattr(onnx, name).DESCRIPTOR
    inner = {
        field.number: NAMES[field.message_type.name]
        for field in descriptor.fields
        if field.message_type and leads_to_a_tensor(field.message_type)
    }
    assert MESSAGES[NAMES[name]] == inner


def names_another_file(message):
    if isinstance(message, onnx.TensorProto):
        return bool(message.external_data) or message.data_location != onnx.TensorProto.DEFAULT
    return any(
        names_another_file(inner)
        for field, value in message.ListFields()
        if field.message_type
        for inner in (value if field.is_repeated else [value])
    )


def test_no_mutant_hides_external_data():
    tensor = onnx.TensorProto(name="w", dims=[2], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    body = onnx.helper.make_graph([], "g", [], [], [tensor])
    node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=body, value=tensor)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [tensor]))
    content, random_, hidden, seen = model.SerializeToString(), random.Random(0), [], 0  # noqa: S311
    for _ in range(3000):
        mutant = mutate(content, [content], random_)
        try:
            read_metadata(mutant, "model.onnx")
        except ModelFormatError as error:
            seen += "external data" in str(error)
            continue
        try:
            parsed = onnx.load_from_string(mutant)
        except DecodeError:
            continue
        if names_another_file(parsed) and b"location" in mutant:
            hidden.append(mutant)
    assert not hidden
    assert seen > 300
