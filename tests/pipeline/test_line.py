"""The whole pipeline: train, export, verify, damage files, bench."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.benchmark import benchmark
from pipeline.benchmark.engines import BACKENDS, find
from pipeline.cli import main
from pipeline.data import samples
from pipeline.data.dataset import split
from pipeline.documents.benchmark import Benchmark
from pipeline.documents.manifest import ImageSet, Manifest
from pipeline.documents.verify import Verification
from pipeline.errors import ExportError, PipelineError
from pipeline.export import export
from pipeline.export.load.model import Source
from pipeline.export.quantize.config import METHODS
from pipeline.export.quantize.decisions import format_decisions
from pipeline.formats import MODEL_FILES
from pipeline.training import RunOptions, Settings, train
from pipeline.verify.parity import format_report, verify
from runtime import Classifier
from runtime.benchmark import measuring
from runtime.benchmark.table import format_benchmark
from runtime.engines.checksum import add_checksum
from runtime.engines.registry import default_engine
from runtime.errors import OutputError
from runtime.spec import SPEC_FILE, SPEC_KEY
from runtime.system.writing import LEFTOVER


@pytest.fixture(scope="module")
def exported(tmp_path_factory, reference):
    """The reference, trained further on a few hundred images, and exported."""
    folder = tmp_path_factory.mktemp("line")
    images = samples.read_calibration(reference)
    settings, start = Settings(epochs=2, batch_size=32), RunOptions(initial_model=reference / artifacts.MODEL_KERAS)
    history = train(*split(images, 100), folder / "train", settings, start)
    assert len(history.epochs) == 2
    assert history.validation_accuracy > 0.5  # chance is 0.1
    export(
        Source(folder / "train" / artifacts.MODEL_KERAS), folder / "build", images, samples.read_validation(reference)
    )
    return folder / "build"


@pytest.fixture
def copied(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def bless(folder, name, content):
    """Write a model file with a valid checksum, and its digest into the manifest."""
    content = add_checksum(content)
    (folder / name).write_bytes(content)
    manifest = artifacts.read_json(folder / artifacts.MANIFEST)
    manifest["files"][name]["sha256"] = sha256(content)
    artifacts.write_json(folder / artifacts.MANIFEST, manifest)


@pytest.fixture(scope="module")
def test_images(reference):
    return samples.read_test(reference)


@pytest.mark.slow
def test_fresh_model_passes(exported, test_images):
    report = verify(exported, test_images)
    assert report.passed, format_report(report)
    assert set(report.artifacts) == set(MODEL_FILES)


@pytest.mark.slow
def test_files_take_uint8_and_carry_their_spec(exported):
    graph = onnx.load(exported / artifacts.INT8_ONNX)
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert SPEC_KEY in {entry.key for entry in graph.metadata_props}
    assert max(entry.version for entry in graph.opset_import) <= 18
    assert all(node.domain in ("", "ai.onnx") for node in graph.graph.node)
    with zipfile.ZipFile(exported / artifacts.INT8_TFLITE) as archive:
        assert json.loads(archive.read(SPEC_FILE))["precision"] == "int8"
        assert archive.read("labels.txt").decode().split()[3] == "cat"


@pytest.mark.slow
def test_int8_tflite_is_integer_throughout_but_for_its_ends(exported):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(exported / artifacts.INT8_TFLITE),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()  # noqa: SLF001 - the only list
    in_float = [entry["op_name"] for entry in operators if types[int(entry["outputs"][0])] == np.float32]
    # the step from uint8 to int8, then the end: logits or, with a float head, what they are computed from
    assert in_float in (
        ["DEQUANTIZE", "DEQUANTIZE", "SOFTMAX"],
        ["DEQUANTIZE", "DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"],
    )
    detail = interpreter.get_input_details()[0]
    assert detail["dtype"] == np.uint8
    assert detail["quantization"] == (pytest.approx(1 / 255, rel=1e-6), 0)


@pytest.mark.slow
def test_every_file_carries_its_accuracy_and_its_own_answers(exported, reference):
    validation = samples.read_validation(reference)
    for name in MODEL_FILES:
        classifier = Classifier(exported / name)
        assert classifier.spec.accuracy_images == len(validation)
        right = classifier.predict(validation.pixels).argmax(axis=1) == validation.labels
        assert classifier.spec.accuracy == pytest.approx(right.mean())
        assert classifier.spec.provenance["validation_sha256"] == validation.digest
        seen = classifier.spec.validation
        assert (seen["images"], sum(seen["mix"])) == (len(validation), pytest.approx(1, abs=0.01))
        assert set(seen["quantiles"]) == {"brightness", "sharpness", "redness", "greenness", "confidence"}
        assert len(json.dumps(seen)) < 1000
        golden = classifier.golden()
        assert golden.pixels.shape == (8, 32, 32, 3)
        assert np.abs(classifier.predict(golden.pixels) - golden.probabilities).max() <= golden.tolerance / 10
        low, high = (1e-5, 2e-5) if "fp32" in name else (0.05, 0.05)  # rounding may take an fp32 file above 1e-5
        assert low <= golden.tolerance <= high


@pytest.mark.slow
def test_manifest_tells_what_was_decided_and_on_what(exported, reference):
    manifest = Manifest.read(exported)
    assert manifest.calibration == ImageSet(images=500, digest=samples.read_calibration(reference).digest)
    assert manifest.validation.digest == samples.read_validation(reference).digest
    assert [cost.stage for cost in manifest.stages] == [
        "Keras's answers",
        "model_fp32.onnx",
        "model_int8.onnx: calibration",
        "model_int8.onnx: search",
        "model_int8.onnx",
        "model_fp32.tflite",
        "model_int8.tflite: calibration",
        "model_int8.tflite: search",
        "model_int8.tflite",
    ]
    assert all(cost.seconds > 0 and cost.processor_seconds > 0.01 and cost.peak_mib > 100 for cost in manifest.stages)
    costs = {cost.stage: cost.processor_seconds for cost in manifest.stages}
    for name in (artifacts.INT8_ONNX, artifacts.INT8_TFLITE):
        assert costs[name] > costs[f"{name}: search"]
    assert set(manifest.decisions) == {artifacts.INT8_ONNX, artifacts.INT8_TFLITE}
    for decision in manifest.decisions.values():
        tried = [candidate.config for candidate in decision.candidates]
        assert decision.config in tried
        assert {config.method for config in tried} == set(METHODS)
        assert len(tried) == len({str(config) for config in tried}), "tried twice"
        assert "that pass without a significant difference in accuracy" in decision.reason
    table = format_decisions(manifest)
    assert sum(line.startswith("* ") for line in table.splitlines()) == 2
    for decision in manifest.decisions.values():
        assert f"  {decision.summary}\n" in f"{table}\n"


@pytest.mark.slow
def test_altered_weight_is_caught(copied, test_images):
    graph = onnx.load(copied / artifacts.FP32_ONNX)
    weights = max(graph.graph.initializer, key=lambda entry: len(entry.raw_data))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[:2000] += 0.01
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    bless(copied, artifacts.FP32_ONNX, graph.SerializeToString())
    report = verify(copied, test_images)
    assert not report.passed
    violations = report.artifacts[artifacts.FP32_ONNX].violations
    assert any("max difference" in violation for violation in violations)
    assert any("golden set" in violation for violation in violations)
    assert not report.artifacts[artifacts.INT8_TFLITE].violations


@pytest.mark.slow
def test_shortened_label_list_changed_file_and_missing_file_are_all_reported(copied, test_images):
    graph = onnx.load(copied / artifacts.INT8_ONNX)
    (entry,) = (entry for entry in graph.metadata_props if entry.key == SPEC_KEY)
    spec = json.loads(entry.value)
    spec["class_names"].pop()
    entry.value = json.dumps(spec)
    bless(copied, artifacts.INT8_ONNX, graph.SerializeToString())
    (copied / artifacts.FP32_TFLITE).unlink()
    with (copied / artifacts.FP32_ONNX).open("ab") as file:
        file.write(b"\0")
    rows = verify(copied, test_images).artifacts
    assert "the spec names 9 classes" in rows[artifacts.INT8_ONNX].violations[0]
    assert rows[artifacts.FP32_TFLITE].violations
    assert "changed since export" in rows[artifacts.FP32_ONNX].violations[0]
    assert "FAIL" in format_report(Verification.read(copied))


@pytest.mark.slow
def test_exporting_twice_gives_the_same_bytes(exported, tmp_path, reference):
    """Every file, with the search; also the manifest, except for times and memory of the stages."""
    source = Source(exported.parent / "train" / artifacts.MODEL_KERAS)
    export(source, tmp_path, samples.read_calibration(reference), samples.read_validation(reference))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert {artifacts.MANIFEST, *MODEL_FILES} <= set(names)
    for name in set(names) - {artifacts.MANIFEST}:
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes(), name
    again, first = (json.loads((folder / artifacts.MANIFEST).read_bytes()) for folder in (tmp_path, exported))
    assert again.pop("stages")
    assert first.pop("stages")
    assert again == first


@pytest.mark.slow
def test_the_command_loads_the_model_once(reference, test_images, tmp_path, monkeypatch):
    load_model, loaded = keras.models.load_model, []
    monkeypatch.setattr(samples, "test_images", lambda: test_images)  # not all 10,000, where they are cached

    def count(path, **options):
        loaded.append(path)
        return load_model(path, **options)

    monkeypatch.setattr(keras.models, "load_model", count)
    model = reference / artifacts.MODEL_KERAS
    assert main(["export", "--model", str(model), "--out", str(tmp_path / "build"), "--quick"]) == 0
    assert loaded == [model]
    assert (tmp_path / "build" / artifacts.VERIFY).is_file()


@pytest.mark.slow
def test_batches_give_what_single_images_give(exported, test_images):
    for name in MODEL_FILES:
        classifier = Classifier(exported / name)
        single = np.concatenate([classifier.predict(test_images.pixels[index : index + 1]) for index in range(8)])
        assert np.abs(classifier.predict(test_images.pixels[:8]) - single).max() <= 1e-6, name


@pytest.mark.slow
def test_benchmark_measures_every_contender(exported, test_images, monkeypatch):
    monkeypatch.setattr(measuring, "STARTS", 1)  # TensorFlow takes seconds to start
    monkeypatch.setattr(measuring, "PHOTO_ROUNDS", 2)
    left = exported / "model_fp16.tflite"
    shutil.copy(exported / artifacts.FP32_TFLITE, left)
    report = benchmark(exported, 0.1, test_images, threads=(1,))
    left.unlink()
    assert all(row.artifact != left.name for row in report.contenders), "what an earlier export left took part"
    assert asdict(report)["contenders"] == Benchmark.read(exported).model_dump()["contenders"]
    rows = {(row.artifact, row.backend): row for row in report.contenders}
    assert {(name, default_engine(Path(name).suffix)) for name in MODEL_FILES} <= set(rows)
    assert {(find(name).artifact, name) for name in BACKENDS} <= set(rows)
    timed = [row for row in rows.values() if row.missing is None]
    assert len([row for row in timed if row.backend in ("onnxruntime", "litert")]) == 4
    for row in timed:
        assert row.accuracy > 0.15
        assert row.agreement > 0.9
        assert row.ratio_to_keras.low <= row.ratio_to_keras.value <= row.ratio_to_keras.high
    fastest_keras = min((row for row in timed if "keras" in row.backend), key=lambda row: row.latency_us.p50)
    assert fastest_keras.accuracy_on == "test images"
    assert {row.backend for row in report.end_to_end} >= {"onnxruntime", "litert", "keras-compiled", "tensorflow"}
    served = next(row for row in timed if row.backend == "tensorflow")
    assert served.peak_memory_bytes < fastest_keras.peak_memory_bytes  # it imports no Keras
    assert "of Keras" in format_benchmark(report)


@pytest.mark.slow
def test_shipped_reference_holds_its_parity_and_its_accuracy(reference, test_images, tmp_path):
    folder = Path(shutil.copytree(reference, tmp_path / "reference"))
    report = verify(folder, test_images)
    assert report.passed, format_report(report)
    shipped = Verification.read(reference)
    assert shipped.images == 10_000
    assert shipped.passed
    assert min(shipped.keras.accuracy, *(row.accuracy for row in shipped.measured.values())) > 0.85


def test_what_is_no_keras_model_is_refused(tmp_path):
    with pytest.raises(ExportError, match="no such file"):
        export(Source(tmp_path / "none.keras"), tmp_path / "out")
    fake = tmp_path / "fake.keras"
    fake.write_bytes(b"nothing")
    with pytest.raises(ExportError, match="not a Keras model"):
        export(Source(fake), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="run python -m pipeline export first"):
        verify(tmp_path)


def test_a_place_that_cannot_be_written_is_found_before_the_model_is_read(tmp_path):
    with pytest.raises(OutputError, match=r"/proc: manifest\.json cannot be written"):
        export(Source(tmp_path / "none.keras"), Path("/proc/out"))
    (tmp_path / "large.keras").touch()
    os.truncate(tmp_path / "large.keras", shutil.disk_usage(tmp_path).free)
    with pytest.raises(OutputError, match=r"MiB are free, about \d+ are needed"):
        export(Source(tmp_path / "large.keras"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_clears_what_killed_ones_left(tmp_path):
    (tmp_path / f"{LEFTOVER}x7.onnx").write_bytes(b"half a file")
    (tmp_path / ".x7.onnx").write_bytes(b"not ours")
    with pytest.raises(ExportError, match="no such file"):
        export(Source(tmp_path / "none.keras"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".x7.onnx"]


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    artifacts.write_bytes(path, b"old")

    def interrupted():
        with artifacts.atomic_path(path) as temporary:
            temporary.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - hidden files count


def test_the_program_starts_and_ends_with_the_command_s_status(tmp_path):
    """Of a command that is refused before TensorFlow is loaded; ``test_own_photos.py`` starts one that loads it."""
    command = [sys.executable, "-m", "pipeline", "verify", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "manifest.json: not there" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["summary"], 0, "528,054"),
        (["summary", "--side", "20"], 2, "does not fit"),
        (["verify", "nowhere"], 2, "manifest.json: not there"),
        (["export", "--model", "none.keras", "--out", "out"], 2, "no such file"),
    ],
)
def test_command_line(arguments, status, expected, capsys):
    assert main(arguments) == status
    shown = capsys.readouterr()
    assert expected in shown.out + shown.err


def test_without_a_command_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
