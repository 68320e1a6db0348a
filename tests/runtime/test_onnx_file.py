"""ONNX files read without an engine: every path and encoding by which a tensor can name another file."""

import itertools

import numpy as np
import pytest

from hostile.encodings import KEY, TENSORS, VALUE, model, part, varint, ways
from runtime import Classifier, ModelFormatError, ModelSpec, ModelSpecError
from runtime.engines.onnx_file import read_metadata
from runtime.engines.onnx_graph import read_graph
from runtime.engines.protobuf import MAX_FIELDS, fields
from runtime.engines.registry import OWN, engines, find


@pytest.mark.parametrize("name", TENSORS)
def test_external_data_is_seen_in_every_encoding(name):
    with pytest.raises(ModelFormatError, match=r"^model\.onnx: keeps weights in another file"):
        read_metadata(model((7, 5), TENSORS[name]), "model.onnx")


def test_external_data_is_seen_wherever_a_tensor_can_be():
    found = ways()
    assert {(7, 5), (7, 15, 1), (7, 1, 5, 6, 5), (25, 7, 5, 5), (20, 1, 5), (7, 1, 5, 11, 1, 5, 23, 2)} <= set(found)
    for way in found:
        with pytest.raises(ModelFormatError, match="external data"):
            read_metadata(model(way, TENSORS["value first"]), "model.onnx")


def test_a_message_in_two_parts_is_read_as_one():
    halves = part(7, part(5, varint(14 << 3) + varint(1))), part(7, part(5, part(8, b"location")))
    for order in itertools.permutations(halves):
        with pytest.raises(ModelFormatError, match="external data"):
            read_metadata(b"".join(order), "model.onnx")


@pytest.mark.parametrize(
    "content",
    [
        part(14, KEY + VALUE),  # metadata
        part(7, part(5, part(8, b"location") + part(13 << 1, KEY + VALUE))),  # another field
        part(7, part(5, part(8, b"location") + varint(14 << 3) + varint(0))),  # in the file itself
        part(7, part(5, part(8, b"location") + varint(13 << 3) + varint(1))),  # a number, not an entry
        part(7, part(5, part(8, b"location") + varint(90 << 3 | 3) + part(13, KEY) + varint(90 << 3 | 4))),
        part(7, part(16, KEY + VALUE)),  # metadata of the graph
    ],
)
def test_what_is_no_external_data_is_none(content):
    read_metadata(part(7, b"") + content, "model.onnx")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        part(14, KEY),  # no graph
        part(7, b"") + b"\x3c",  # the end of a group that was not begun
        part(7, b"") + b"\x3c\x3b",  # the same, and then the group begins
        part(7, b"") + b"\x3b",  # a group without an end
        part(7, b"") + b"\x3f",  # wire type 7
        part(7, b"") + b"\x3a\x05abc",  # longer than the file
        part(7, b"") + b"\x3a" + b"\xff" * 9 + b"\x01",
        part(7, b"") + b"\xff" * 20,
        part(7, b"") + b"\x39abc",
        part(7, b"") + b"\x02\x00",  # field 0
        part(7, b"location" + b"\x07"),
        b"\x18\x00\x00\x00ORTM",
    ],
)
def test_what_is_no_protobuf_message_is_refused(content):
    with pytest.raises(ModelFormatError, match=r"^model\.onnx: not an ONNX file"):
        read_metadata(content, "model.onnx")


def test_no_more_fields_are_read_than_a_model_has():
    many = b"\x08\x01" * (MAX_FIELDS + 1)
    for content in (part(7, b"") + many, part(7, b"location") + many, part(7, part(5, b"\x42\x08location" + many))):
        with pytest.raises(ModelFormatError, match="not an ONNX file"):
            read_metadata(content, "model.onnx")


def test_of_two_entries_of_metadata_the_last_counts():
    entries = [part(14, part(2, value) + part(1, b"k")) for value in (b"old", b"\xff")]
    assert read_metadata(part(7, b"") + b"".join(entries), "model.onnx") == {"k": b"\xff"}


def test_nodes_are_read_in_their_order():
    first = part(1, b"a") + part(1, b"b") + part(2, b"c") + part(4, b"MatMul")
    second = part(4, b"Softmax") + part(7, b"other") + part(2, b"d") + part(1, b"c")
    nodes, outputs = read_graph(part(7, part(1, first)) + part(7, part(1, second) + part(12, part(1, b"d"))))
    assert nodes == (("MatMul", ("a", "b"), ("c",)), ("other.Softmax", ("c",), ("d",)))
    assert outputs == ("d",)


def test_a_number_is_its_value():
    assert list(fields(b"\x08" + varint(300, 2), 0, 5)) == [(1, 0, 300, 0)]


READERS = [name for name in OWN if ".onnx" in find(name).suffixes]


@pytest.mark.parametrize("engine", READERS)
@pytest.mark.parametrize("tensor", ["value first", "key of a longer length", "absolute path", "address"])
def test_no_engine_gets_external_data(external, engine, tensor):
    if next(each for each in engines() if each.name == engine).missing:
        pytest.skip(f"{engine} is not installed")
    path = external([1, 3, 8, 8], np.ones((3, 4)), extra=TENSORS[tensor] + b"p\x01")
    with pytest.raises(ModelFormatError, match="external data"):
        Classifier(path, spec=ModelSpec(8, ("a", "b", "c", "d")), engine=engine)


@pytest.mark.parametrize("engine", READERS)
@pytest.mark.parametrize("key", ["edgecnn_spec", "edgecnn_golden"])
def test_metadata_that_is_not_utf_8_is_refused(respecified, engine, key):
    if next(each for each in engines() if each.name == engine).missing:
        pytest.skip(f"{engine} is not installed")
    path = respecified(extra=part(14, part(1, key.encode()) + part(2, b'{"side": "\xff"}')))
    with pytest.raises(ModelSpecError, match="not readable"):
        Classifier(path, engine=engine).golden()
