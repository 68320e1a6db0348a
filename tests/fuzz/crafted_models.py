"""Model files that an attacker would write: each has a correct checksum and requests too much.

Those of ``refused`` never reach an engine. Those of ``contained`` look sound until an engine loads or runs them, and
may take it down; ``verify`` loads them in a child process.
"""

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile import encodings, packed
from runtime.engines.checksum import MARKER, add_checksum
from runtime.engines.ncnn import PARAM_FILE, WEIGHTS_FILE
from runtime.engines.protobuf import MAX_FIELDS
from runtime.golden import GOLDEN_KEY
from runtime.spec import SPEC_FILE, SPEC_KEY, ModelSpec

SIDE, NAMES = 32, tuple(f"c{index}" for index in range(10))
SPEC = ModelSpec(SIDE, NAMES).to_json()
MEGABYTE = 1 << 20
BOTH = (None, "openvino")


class CraftedModel(NamedTuple):
    """A file's content and its suffix; ``verify`` is asked of it on ``engines``, ``None`` being the default one."""

    content: bytes
    suffix: str
    engines: tuple[str | None, ...] = ()


def _onnx(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None, **changes: bytes) -> CraftedModel:
    """A classifier whose nodes go from ``pixels`` to ``y``; ``changes`` are spec, golden set and more bytes."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", len(NAMES)])],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entries = {SPEC_KEY: changes.get("spec", SPEC.encode())}
    entries |= {GOLDEN_KEY: changes["golden"]} if "golden" in changes else {}
    metadata = b"".join(
        encodings.part(14, encodings.part(1, key.encode()) + encodings.part(2, text)) for key, text in entries.items()
    )
    return CraftedModel(add_checksum(model.SerializeToString() + metadata + changes.get("extra", b"")), ".onnx")


def _dense() -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Cast", ["pixels"], ["f"], to=1),
        make("Flatten", ["f"], ["flat"]),
        make("MatMul", ["flat", "w"], ["logits"]),
        make("Softmax", ["logits"], ["y"]),
    ]


DENSE = {"w": np.zeros((SIDE * SIDE * 3, len(NAMES)), np.float32)}


def _sound(**changes: bytes) -> CraftedModel:
    return _onnx(*_dense(), constants=DENSE, **changes)


def _ncnn(*layers: str, weights: bytes = b"", counts: str | None = None) -> CraftedModel:
    text = "\n".join(["7767517", counts or f"{len(layers)} {len(layers)}", *layers]) + "\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((SPEC_FILE, SPEC), (PARAM_FILE, text), (WEIGHTS_FILE, weights)):
            archive.writestr(name, content)
    return CraftedModel(add_checksum(stream.getvalue()), ".ncnn")


INPUT = f"Input in0 0 1 in0 0={SIDE} 1={SIDE} 2=3"
REST = "InnerProduct dense 1 1 in0 out0 0=10 1=0 2=30720"
WEIGHTS = bytes(4 + 4 * 30720)


def refused() -> Iterator[tuple[str, Callable[[], CraftedModel]]]:
    """The names of the files, and functions that make them."""
    for name, tensor in encodings.TENSORS.items():
        for way in [(7, 5)] if name != "value first" else encodings.ways()[::7]:
            extra = encodings.model(way, tensor)
            yield (
                f"external data: {name}, at {way}",
                lambda extra=extra, way=way: _sound(extra=extra)._replace(engines=("openvino",) * (way == (7, 5))),
            )
    for name, extra in {
        "a group without an end": b"\x3b",
        "a field beyond the end": b"\x3a\xff\xff\xff\x7f",
        "too many fields": b"\x08\x01" * (MAX_FIELDS + 1),
        "too many entries of metadata": encodings.part(14, b"") * (MAX_FIELDS + 1),
    }.items():
        yield f"protobuf: {name}", lambda extra=extra: _sound(extra=extra)
    for name, spec in {
        "not UTF-8": b'{"side": "\xff"}',
        "a million lists": b"[" + b"[]," * 1_100_000 + b"0]",
        "a million objects": b'{"side": [' + b"{}," * 1_100_000 + b"0]}",
        "a hundred thousand deep": b"[" * 100_000,
        "of another side": ModelSpec(SIDE // 2, NAMES).to_json().encode(),
        "of a million classes": json.dumps(json.loads(SPEC) | {"class_names": ["x"] * 1_100_000}).encode(),
    }.items():
        yield f"spec: {name}", lambda spec=spec: _sound(spec=spec)
    for name, layers in {
        "no channels": [INPUT.replace("2=3", "2=0"), REST],
        "one channel": [INPUT.replace("2=3", "2=1"), REST],
        "30,000 pixels a side": [INPUT.replace("0=32 1=32", "0=30000 1=30000"), REST],
        "a million pixels a side": [INPUT.replace("0=32", "0=1000000"), REST],
        "a side of 5,000 digits": [INPUT.replace("0=32", f"0={'9' * 5000}"), REST],
        "a negative side": [INPUT.replace("0=32", "0=-32"), REST],
        "two inputs": [INPUT, INPUT.replace("in0", "in1"), REST],
        "a tensor from nowhere": [INPUT, REST.replace("in0", "in7")],
        "a tensor made twice": [INPUT, REST, REST.replace("dense", "other")],
        "a layer that reads itself": [INPUT, REST.replace("in0", "out0")],
        "more weights than there are": [INPUT, REST.replace("2=30720", "2=2000000000")],
        "an array longer than it says": [INPUT, f"{REST} -23303=1,2,3"],
        "an array of two billion": [INPUT, f"{REST} -23303=2000000000,2"],
        "parameter 99": [INPUT, f"{REST} 99=1"],
        "a parameter that is no number": [INPUT, f"{REST} 8=inf"],
    }.items():
        yield f"ncnn: {name}", lambda layers=layers: _ncnn(*layers, weights=WEIGHTS)
    for name, counts in {"two billion layers": "2000000000 2", "two billion tensors": "2 2000000000"}.items():
        yield f"ncnn: {name}", lambda counts=counts: _ncnn(INPUT, REST, weights=WEIGHTS, counts=counts)
    yield "ncnn: weights that unpack to 500 MB", lambda: _ncnn(INPUT, REST, weights=bytes(500 * MEGABYTE))
    for suffix, prefix in ((".ncnn", b""), (".tflite", b"\x1c\0\0\0TFL3" + bytes(8))):
        for name, pack in packed.archives(SPEC_FILE, prefix).items():
            yield (
                f"{suffix} archive: {name}",
                lambda pack=pack, suffix=suffix: CraftedModel(add_checksum(pack()), suffix),
            )
    for name, png in packed.PICTURES.items():
        golden = json.dumps(packed.GOLDEN | {"png": base64.b64encode(png).decode()}).encode()
        yield f"golden picture: {name}", lambda golden=golden: _sound(golden=golden)._replace(engines=(None,))


def contained() -> Iterator[tuple[str, Callable[[], CraftedModel]]]:
    """The names of the files, and functions that make them."""
    make, whole = helper.make_node, np.int64
    tail = [make("ReduceSum", ["big"], ["sum"], keepdims=0), make("Mul", ["sum", "zero"], ["none"])]
    tail += [*_dense()[:-1], make("Add", ["logits", "none"], ["more"]), make("Softmax", ["more"], ["y"])]
    zero = {**DENSE, "zero": np.zeros((), np.float32), "one": np.ones((1, 1, 1, 1), np.float32)}
    bombs = {
        "4 TB of a constant": (make("ConstantOfShape", ["shape"], ["big"]), {"shape": np.array([2**40], whole)}),
        "2 GB of a constant": (make("ConstantOfShape", ["shape"], ["big"]), {"shape": np.array([2**29], whole)}),
        "an expansion to 64 GB": (
            make("Expand", ["one", "shape"], ["big"]),
            {"shape": np.array([1, 1, 2**17, 2**17], whole)},
        ),
        "a tile of 64 GB": (make("Tile", ["one", "times"], ["big"]), {"times": np.array([1, 1, 2**17, 2**17], whole)}),
        "a padding of 64 GB": (
            make("Pad", ["one", "pads"], ["big"]),
            {"pads": np.array([0, 0, 0, 0, 0, 0, 2**17, 2**17], whole)},
        ),
        "an enlargement to 40 GB": (
            make("Resize", ["one", "", "scales"], ["big"]),
            {"scales": np.array([1, 1, 1e5, 1e5], np.float32)},
        ),
        "a range of 10^13": (
            make("Range", ["start", "limit", "step"], ["big"]),
            {"start": np.float32(0), "limit": np.float32(1e13), "step": np.float32(1)},
        ),
        "a shape below zero": (make("ConstantOfShape", ["shape"], ["big"]), {"shape": np.array([-5], whole)}),
    }
    for name, (node, constants) in bombs.items():
        arrays = {key: np.asarray(value) for key, value in (zero | constants).items()}
        yield (
            f"graph: {name}",
            lambda node=node, arrays=arrays: _onnx(node, *tail, constants=arrays)._replace(engines=BOTH),
        )
    for name, extra in {
        "subgraphs 2,000 deep": _deep(2000),
        "a tensor of 2^60 numbers without data": encodings.model((7, 5), _EMPTY_TENSOR),
    }.items():
        yield f"graph: {name}", lambda extra=extra: _sound(extra=extra)._replace(engines=BOTH)
    for name, layer in {
        "a kernel larger than its weights": "Convolution c 1 1 in0 out0 0=10 1=1000 6=30720",
        "weights for other channels": "Convolution c 1 1 in0 out0 0=1000 1=1 6=1000",
        "a padding of a million": "Padding p 1 1 in0 out0 0=1000000 1=1000000 2=1000000 3=1000000",
        "an enlargement to a million": "Interp i 1 1 in0 out0 0=2 3=1000000 4=1000000",
        "a kernel of nothing": "Pooling p 1 1 in0 out0 0=0 1=0 2=0",
        "a stride of nothing": "Pooling p 1 1 in0 out0 0=0 1=2 2=0",
        "an axis that is not there": "Softmax s 1 1 in0 out0 0=77 1=1",
        "a shape of nothing": "Reshape r 1 1 in0 out0 0=0 1=0 2=0",
        "an order that is none": "Permute p 1 1 in0 out0 0=99",
        "outputs of nothing": "InnerProduct d 1 1 in0 out0 0=0 1=0 2=30720",
        "a dense layer of other inputs": "InnerProduct d 1 1 in0 out0 0=10 1=0 2=10",
        "an unknown layer": "Evil e 1 1 in0 out0",
        "a tensor of a terabyte": "Tile t 1 1 in0 out0 -23302=3,10000,10000,10000",
    }.items():
        yield f"ncnn: {name}", lambda layer=layer: _ncnn(INPUT, layer, weights=WEIGHTS)._replace(engines=(None,))


def changed_bytes(path: Path, suffix: str = ".tflite") -> Iterator[tuple[str, Callable[[], CraftedModel]]]:
    """A flatbuffer with the highest byte of each number changed in turn, and the checksum recomputed."""
    content = path.read_bytes()
    end = content.find(b"PK\3\4")
    for place in [*range(3, 400, 8), *range(end - 7000 - end % 4 + 3, end, 8)]:  # numbers are at multiples of four
        yield (
            f"{path.name}: byte {place} changed",
            lambda place=place: CraftedModel(
                _sealed_anew(content[:place] + b"\x7f" + content[place + 1 :]), suffix, (None,)
            ),
        )


def _sealed_anew(content: bytes) -> bytes:
    body = content[: content.rindex(MARKER) + len(MARKER) + 2]
    return body + b"%08x" % zlib.crc32(body)


def _deep(levels: int) -> bytes:
    """A node in a graph in an attribute of a node in a graph …"""
    content = b""
    for _ in range(levels):
        content = encodings.part(1, encodings.part(4, b"If") + encodings.part(5, encodings.part(6, content)))
    return encodings.part(7, content)


_DIMENSION = encodings.varint(1 << 3) + encodings.varint(2**20)
_EMPTY_TENSOR = 3 * _DIMENSION + b"\x10\x01" + encodings.part(8, b"t")
