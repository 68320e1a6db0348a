"""Model files that carry a golden set, made without the exporters."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

import tiny_ncnn
from runtime import Classifier
from runtime.engines.checksum import add_checksum
from runtime.golden import GOLDEN_FILE, GOLDEN_KEY, GoldenSet
from runtime.spec import SPEC_KEY

DATA_TYPES = {"float32": 1, "uint8": 2, "int64": 7}


def varint(number):
    """A protobuf number."""
    content = b""
    while number >= 0x80:
        content, number = content + bytes([number & 0x7F | 0x80]), number >> 7
    return content + bytes([number])


def field(tag, content):
    """A length-delimited protobuf field."""
    return bytes([tag]) + varint(len(content)) + content


def metadata(key, value):
    """An entry of an ONNX model's ``metadata_props`` (field 14), to append to the file."""
    return field(0x72, field(0x0A, key.encode()) + field(0x12, value.encode()))


def tensor(name, array, extra=b""):
    """A TensorProto (dims 1, data_type 2, name 8, raw_data 9)."""
    dims = b"".join(b"\x08" + varint(size) for size in array.shape)
    return (
        dims
        + b"\x10"
        + varint(DATA_TYPES[array.dtype.name])
        + field(0x42, name.encode())
        + field(0x4A, array.tobytes())
        + extra
    )


def value(name, shape, data_type=1):
    """A ValueInfoProto; a text in the shape is an open axis."""
    axes = b"".join(
        field(0x0A, field(0x12, axis.encode()) if isinstance(axis, str) else b"\x08" + varint(axis)) for axis in shape
    )
    return field(0x0A, name.encode()) + field(0x12, field(0x0A, b"\x08" + varint(data_type) + field(0x12, axes)))


def node(operator, inputs, outputs, **attributes):
    """A NodeProto with attributes of whole numbers."""
    content = b"".join(field(0x0A, name.encode()) for name in inputs)
    content += b"".join(field(0x12, name.encode()) for name in outputs) + field(0x22, operator.encode())
    for name, values in attributes.items():
        if isinstance(values, int):
            content += field(0x2A, field(0x0A, name.encode()) + bytes([0x18, values]) + b"\xa0\x01\x02")
        else:
            ints = b"".join(bytes([0x40, number]) for number in values)
            content += field(0x2A, field(0x0A, name.encode()) + ints + b"\xa0\x01\x07")
    return content


@pytest.fixture
def external(tmp_path):
    """A function: an ONNX file as others export them: float32 in, the channels' means times a matrix out.

    ``ending`` lists what follows the matrix: operators with their further inputs, which ``constants`` names, and
    attributes.
    """

    def write(shape, weights, *, softmax=False, extra=b"", ending=(), constants=(), answers=1):  # noqa: PLR0913 - parts
        ending = ending or ([("Softmax", [], {})] if softmax else [])
        names = [f"t{number}" for number in range(len(ending))] + ["y"]
        axes = [2, 3] if shape[1] == 3 else [1, 2]
        nodes = [
            node("ReduceMean", ["x"], ["means"], axes=axes, keepdims=0),
            node("MatMul", ["means", "w"], names[:1]),
        ]
        for (operator, others, attributes), before, after in zip(ending, names, names[1:], strict=False):
            nodes.append(node(operator, [before, *others], [after], **attributes))
        graph = b"".join(field(0x0A, content) for content in nodes) + field(0x12, b"g")
        graph += field(0x2A, tensor("w", weights.astype(np.float32), extra))
        graph += b"".join(field(0x2A, tensor(name, array)) for name, array in constants)
        graph += field(0x5A, value("x", shape)) + field(0x62, value("y", [shape[0], weights.shape[1]], answers))
        path = tmp_path / "external.onnx"
        path.write_bytes(b"\x08\x08" + field(0x3A, graph) + field(0x42, b"\x10\x11"))
        return path

    return write


@pytest.fixture
def archived(tmp_path):
    """A function: ``tiny_ncnn.write`` into a new folder."""
    return lambda weights, **changes: tiny_ncnn.write(tmp_path / "model.ncnn", weights, **changes)


@pytest.fixture(scope="session")
def images(reference):
    """The first 25 of the shipped test images and the names of their classes."""
    index = json.loads((reference / "samples.json").read_text())
    with Image.open(reference / "test.webp") as sheet:
        row = np.asarray(sheet)[:32]
    pixels = np.ascontiguousarray(row.reshape(32, 25, 32, 3).swapaxes(0, 1))
    return pixels, [index["class_names"][label] for label in index["test"]["labels"][:25]]


@pytest.fixture
def respecified(reference, tmp_path):
    """A function that copies a reference ONNX file with another text as its spec, and more bytes at its end."""

    def write(text=None, extra=b""):
        path = tmp_path / "model.onnx"
        content = (reference / "model_int8.onnx").read_bytes()
        path.write_bytes(add_checksum(content + (b"" if text is None else metadata(SPEC_KEY, text)) + extra))
        return path

    return write


@pytest.fixture
def without_golden(respecified):
    """A copy of a reference ONNX file whose golden set has an unknown key, so it counts as missing."""
    path = respecified()
    path.write_bytes(add_checksum(path.read_bytes().replace(GOLDEN_KEY.encode(), b"edgecnn_absent")))
    return path


@pytest.fixture
def carrying(reference, images, tmp_path):
    """A function: copy a reference file, with a golden set of eight images whose answers are shifted by ``shift``."""

    def carry(name, shift=0.0, tolerance=0.001):
        path = tmp_path / name
        shutil.copy(reference / name, path)
        pixels = images[0][:8]
        with Classifier(path) as classifier:
            expected = np.clip(classifier.predict(pixels) + np.float32(shift), 0, 1)
        golden = GoldenSet(pixels, expected, tolerance).to_json()
        if path.suffix == ".onnx":
            path.write_bytes(
                path.read_bytes().replace(GOLDEN_KEY.encode(), b"edgecnn_absent")
            )  # of two, engines differ
            with path.open("ab") as file:
                file.write(metadata(GOLDEN_KEY, golden))
        else:
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(GOLDEN_FILE, golden)
        path.write_bytes(add_checksum(path.read_bytes()))
        return path

    return carry
