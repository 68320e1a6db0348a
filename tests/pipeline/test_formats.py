"""The files that are written on request: half-precision weights, and int8 weights with float activations."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper

from pipeline import artifacts
from pipeline.benchmark import benchmark, run
from pipeline.cli import parse
from pipeline.data import samples
from pipeline.documents.manifest import Manifest
from pipeline.errors import ExportError, PipelineError
from pipeline.export import Settings, export, fp16_dynamic, ncnn
from pipeline.export.fp16_dynamic import quantize_by_channel
from pipeline.export.load.model import Source
from pipeline.export.load.scaling import PixelScaling
from pipeline.formats import FORMATS, MODEL_FILES, files_of, format_of, options, precision_of
from pipeline.verify.drift import drift
from pipeline.verify.parity import model_files, verify
from runtime import Classifier
from runtime.benchmark import measuring
from runtime.engines.registry import default_engine
from runtime.spec import PRECISIONS as PRECISION_NAMES
from runtime.spec import SPEC_FILE

KERNELS = {"small": (1, 1, 15, 17), "large": (1, 1, 16, 16)}
FILES = tuple(row.file for row in FORMATS if row.option)


@pytest.fixture(scope="module")
def exported(reference, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    images = samples.read_calibration(reference), samples.read_validation(reference)
    export(Source(reference / artifacts.MODEL_KERAS), out, *images, Settings(quick=True, files=FILES))
    return out


@pytest.mark.slow
def test_each_is_verified_and_timed_like_the_rest(exported, reference, monkeypatch):
    report = verify(exported, samples.read_test(reference))
    assert tuple(report.artifacts) == FILES
    assert report.passed, report
    full = (exported / artifacts.MODEL_KERAS).stat().st_size
    sizes = {name: (exported / name).stat().st_size / full for name in FILES}
    assert sizes["model_fp16.tflite"] < 0.55
    assert max(sizes["model_dynamic.onnx"], sizes["model_dynamic.tflite"]) < 0.30
    monkeypatch.setattr(measuring, "STARTS", 1)
    monkeypatch.setattr(run, "desk_contenders", lambda *_: [])  # Keras and its kin take part in test_line.py
    measured = benchmark(exported, 0.1, samples.read_test(reference), threads=(1,))
    assert {row.artifact for row in measured.contenders if not row.missing} == set(FILES)


@pytest.mark.slow
def test_drift_looks_into_what_it_can(exported, reference):
    report = drift(exported, samples.read_validation(reference), layer_images=2)
    assert set(report.artifacts) == {name for name in FILES if not name.endswith(".ncnn")}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_each_carries_its_spec_and_its_golden_set(exported, name):
    classifier = Classifier(exported / name)
    assert classifier.spec.precision == name.removeprefix("model_").split(".")[0]
    assert classifier.spec.accuracy > 0.8
    golden = classifier.golden()
    assert golden is not None
    assert np.abs(classifier.predict(golden.pixels) - golden.probabilities).max() <= golden.tolerance


@pytest.mark.slow
def test_weights_are_stored_as_the_names_say(exported):
    graph = onnx.load(exported / "model_dynamic.onnx").graph
    large = [tensor.data_type for tensor in graph.initializer if np.prod(tensor.dims) >= 1_000]
    assert set(large) == {onnx.TensorProto.INT8}
    assert len(large) == 4  # the first kernel has 192 weights
    for name, dtype in (("model_fp16.tflite", np.float16), ("model_dynamic.tflite", np.int8)):
        tensors = Interpreter(str(exported / name)).get_tensor_details()
        stored = {
            entry["dtype"] for entry in tensors if np.prod(entry["shape"]) >= 5_000 and entry["dtype"] != np.float32
        }
        assert stored == {dtype}
    with zipfile.ZipFile(exported / "model_fp16.tflite") as archive:
        assert json.loads(archive.read(SPEC_FILE))["precision"] == "fp16"


def test_steps_are_within_half_a_scale_of_the_weights():
    weights = np.random.default_rng(0).normal(size=(3, 4, 2, 2)).astype(np.float32) * np.array([1, 100, 0.01]).reshape(
        3, 1, 1, 1
    ).astype(np.float32)
    weights[2] = 0
    steps, scales = quantize_by_channel(weights)
    assert steps.dtype == np.int8
    assert (np.abs(steps * scales.reshape(3, 1, 1, 1) - weights) <= scales.reshape(3, 1, 1, 1) * 0.5001).all()
    assert (np.abs(steps[:2]).reshape(2, -1).max(axis=1) == 127).all()


def test_manifest_without_model_files_is_refused(reference):
    manifest = Manifest.read(reference)
    with pytest.raises(PipelineError, match="lists no model files"):
        model_files(manifest.model_copy(update={"files": {}}))


def test_a_missing_converter_is_named_with_its_remedy(monkeypatch, reference, tmp_path):
    monkeypatch.setattr("pipeline.export.ncnn.find_spec", lambda _: None)
    images = samples.read_calibration(reference), samples.read_validation(reference)
    settings = Settings(quick=True, files=("model_fp32.ncnn",))
    with pytest.raises(ExportError, match="pip install --no-deps pnnx"):
        export(Source(reference / artifacts.MODEL_KERAS), tmp_path, *images, settings)
    assert not list(tmp_path.iterdir())


def test_what_the_converter_cannot_do_is_said_in_its_words(monkeypatch, reference, tmp_path):
    program = tmp_path / "pnnx"
    program.write_text("#!/bin/sh\necho of no use\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("pipeline.export.ncnn._converter", lambda: program)
    network = onnx.load(reference / artifacts.FP32_ONNX)
    del network.graph.node[0]  # scales pixels to "image"
    network.graph.input[0].name = "image"
    with pytest.raises(ExportError, match=r"pnnx cannot convert this network to NCNN \(status 3: of no use\)"):
        ncnn.convert(network, 32, PixelScaling())


def test_an_unknown_format_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["export", "--model", "model.keras", "--out", "out", "--formats", "int4"])
    assert "invalid choice: 'int4'" in capsys.readouterr().err


def test_the_flag_chooses_files():
    read = parse(["export", "--model", "model.keras", "--out", "out", "--formats", "dynamic", "fp16"])
    assert files_of(read.formats) == (
        *MODEL_FILES,
        "model_fp16.tflite",
        "model_dynamic.onnx",
        "model_dynamic.tflite",
    )


def test_every_option_is_explained_once():
    assert list(options()) == list(dict.fromkeys(row.option for row in FORMATS if row.option))


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.file)
def test_a_row_names_what_there_is(row):
    assert format_of(row.file) is row
    assert row.precision.name in PRECISION_NAMES
    assert default_engine(Path(row.file).suffix)
    assert callable(row.build)
    assert callable(row.pack)
    assert row.tap is None or callable(row.tap)
    assert precision_of(row.file).name == row.precision.name


def test_rows_are_looked_up_without_tensorflow():
    code = (
        "import sys; from pipeline.formats import FORMATS, format_of; format_of(FORMATS[0].file); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "onnx", "onnxruntime", "numpy"} & set(done.stdout.split())


def test_small_kernels_stay_in_float():
    """One of 255 weights would not become smaller, one of 256 does."""
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in KERNELS.items()]
    nodes = [onnx.helper.make_node("Conv", ["image", name], [f"{name}_out"]) for name in KERNELS]
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 32, 32])
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "two", [image], [], constants))
    fp16_dynamic._store_kernels_in_int8(model)  # noqa: SLF001 - the step itself
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert stored["small"] == onnx.TensorProto.FLOAT
    assert stored["large_int8"] == onnx.TensorProto.INT8
    assert "large" not in stored
