"""Export to NCNN: pnnx converts the float ONNX graph; the result and the spec are packed into one ZIP archive.

The float32 file of the CIFAR-10 network gives Keras's class on all of 1,000 test images. The float16 file is half as
large and gives the same classes, with probabilities up to 0.008 apart. It is no faster on x86-64, where NCNN stores
float16 and computes in float32; on Arm processors with float16 arithmetic, such as the Raspberry Pi 5's, it computes in
float16.
"""

import io
import subprocess
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pipeline.errors import ExportError
from pipeline.export.familiarity import NoSoftmaxError
from pipeline.export.formats import ExportedGraph, ExportInputs
from pipeline.export.freeze import IMAGE, Size, height_and_width
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.rewrites.editing import only_reader, redirect
from pipeline.export.tflite import ZIP_EPOCH
from pipeline.formats import Format
from runtime.engines.base import FAMILIARITY
from runtime.engines.checksum import add_checksum
from runtime.engines.ncnn import PARAM_FILE, WEIGHTS_FILE
from runtime.golden import GOLDEN_FILE, GoldenSet
from runtime.spec import SPEC_FILE, ModelSpec

PIXELS = "pixels"
LIMIT_S = 600

Graph = tuple[str, bytes]
"""Text of an NCNN graph (``.param``) and bytes of its weights (``.bin``)."""


def convert(network: onnx.ModelProto, size: Size, scaling: PixelScaling, *, half: bool = False) -> Graph:
    """Convert to an NCNN graph: one image, float32 (3, H, W), pixels 0-255, to probabilities, float32 (C,).

    Args:
        network: the float ONNX graph without pixel scaling.
        size: size of the images in pixels.
        scaling: pixel scaling, which becomes part of the graph.
        half: whether to store weights in float16.

    Raises:
        ExportError: pnnx is not installed, or cannot convert this network.
    """
    height, width = height_and_width(size)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        onnx.save(_channels_first(network, size, scaling), model)
        command = [str(_converter()), model.name, f"inputshape=[1,3,{height},{width}]", f"fp16={half:d}"]
        done = subprocess.run(  # noqa: S603 - the converter in the package that the user installed
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False
        )
        graph, weights = model.with_name(PARAM_FILE), model.with_name(WEIGHTS_FILE)
        if done.returncode or not graph.is_file() or not weights.is_file():
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise ExportError(f"pnnx cannot convert this network to NCNN (status {done.returncode}: {last[:300]})")
        return _with_size(graph.read_text(encoding="utf-8"), height, width), weights.read_bytes()


def fp32(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the float32 NCNN graph."""
    network = inputs.deployable
    return ExportedGraph(convert(inputs.network, network.size, network.network_scaling))


def fp16(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the NCNN graph with float16 weights; the engine computes in float16 where the processor can."""
    network = inputs.deployable
    return ExportedGraph(convert(inputs.network, network.size, network.network_scaling, half=True))


def with_familiarity(graph: Graph) -> Graph:
    """Return a copy of a graph that names the logits, (C,), ``familiarity``; NCNN can return any tensor by name.

    Raises:
        NoSoftmaxError: the graph does not end in a softmax.
    """
    text, weights = graph
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if lines[-1][0] != "Softmax":
        raise NoSoftmaxError(lines[-1][0])
    logits = lines[-1][4]
    for words in lines[2:]:
        tensors = slice(4, 4 + int(words[2]) + int(words[3]))
        words[tensors] = [FAMILIARITY if word == logits else word for word in words[tensors]]
    return "\n".join(map(" ".join, lines)) + "\n", weights


def with_metadata(graph: Graph, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """Return the bytes of the file: a ZIP archive of graph, weights, spec and golden set, with a checksum."""
    text, weights = graph
    members: dict[str, str | bytes] = {SPEC_FILE: spec.to_json(), PARAM_FILE: text, WEIGHTS_FILE: weights}
    members |= {GOLDEN_FILE: golden.to_json()} if golden else {}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
    return add_checksum(stream.getvalue())


def _converter() -> Path:
    """Return the path of the program in the package pnnx, whose Python module is not used, because it imports torch."""
    found = find_spec("pnnx")
    if found is None or not found.submodule_search_locations:
        raise ExportError(
            "converting to NCNN needs the program pnnx, which is not installed: pip install --no-deps pnnx (it names "
            "torch as a dependency, and its converter runs without)"
        )
    folder = Path(found.submodule_search_locations[0])
    return next((path for path in (folder / "pnnx", folder / "pnnx.exe") if path.is_file()), folder / "pnnx")


def _channels_first(network: onnx.ModelProto, size: Size, scaling: PixelScaling) -> onnx.ModelProto:
    """Make the network take ``pixels``, one image, float32 (1, 3, H, W), 0-255."""
    model = onnx.ModelProto()
    model.CopyFrom(network)
    graph = model.graph
    scaled, nodes = PIXELS, []
    for operator, values, neutral in (("Mul", scaling.scale, 1.0), ("Add", scaling.offset, 0.0)):
        if set(values) != {neutral}:
            channels = np.array(values, np.float32).reshape(1, 3, 1, 1)
            constant = numpy_helper.from_array(channels if len(set(values)) > 1 else channels[0, 0, 0, 0], operator)
            graph.initializer.append(constant)
            nodes.append(helper.make_node(operator, [scaled, operator], [f"{operator}_pixels"], name=operator))
            scaled = f"{operator}_pixels"
    first = only_reader(graph, IMAGE)
    if first is not None and first.op_type == "Transpose":
        redirect(graph, first.output[0], scaled)
        graph.node.remove(first)
    else:
        nodes.append(helper.make_node("Transpose", [scaled], [IMAGE], name="channels_last", perm=[0, 2, 3, 1]))
    for node in reversed(nodes):
        graph.node.insert(0, node)
    graph.input[0].CopyFrom(
        helper.make_tensor_value_info(PIXELS, onnx.TensorProto.FLOAT, [1, 3, *height_and_width(size)])
    )
    graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_size(text: str, height: int, width: int) -> str:
    """Add the image's width, height and channels as parameters 0, 1 and 2 of the graph's input layer."""
    lines = text.splitlines()
    sources = [index for index, line in enumerate(lines) if line.startswith("Input ")]
    if len(sources) != 1:
        raise ExportError(f"pnnx made a graph of {len(sources)} inputs, expected one")
    lines[sources[0]] += f" 0={width} 1={height} 2=3"
    return "\n".join(lines) + "\n"
