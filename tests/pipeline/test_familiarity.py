"""The familiarity score of ONNX files, and its use in the runtime."""

import json
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pipeline.data import synthetic
from pipeline.data.dataset import Dataset, without_labels
from pipeline.documents import known
from pipeline.documents.known import Known
from pipeline.errors import DataError, ExportError
from pipeline.export import Settings, export, familiarity
from pipeline.export import onnx as export_onnx
from pipeline.export.familiarity import divide, of_onnx, with_threshold
from pipeline.export.formats import load_bytes
from pipeline.export.load.model import Source
from pipeline.export.ncnn import with_familiarity
from pipeline.export.quantize import answers
from pipeline.metrics.classification import auroc
from pipeline.verify.out_of_distribution import format_familiarity, judge, judge_folder
from runtime import Classifier, ModelFormatError
from runtime.events import EventDetector, EventSettings
from runtime.spec import ModelSpec

SPEC = ModelSpec(4, ("red", "green"), output="softmax")
WEIGHTS = np.array([[0.02, -0.02], [-0.02, 0.02], [0.0, 0.0]], np.float32)


def graph(last="Softmax", *, quantized=False):
    """Means of the channels, times a matrix, to probabilities."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        helper.make_node(last, ["logits"], ["soft" if quantized else "answers"]),
    ]
    constants = [onnx.numpy_helper.from_array(WEIGHTS, "weights")]
    if quantized:
        nodes += [
            helper.make_node("QuantizeLinear", ["soft", "scale", "zero"], ["steps"]),
            helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["answers"]),
        ]
        constants += [onnx.numpy_helper.from_array(np.float32(1 / 255), "scale")]
        constants += [onnx.numpy_helper.from_array(np.uint8(0), "zero")]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 4, 4, 3])
    answers = helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["N", 2])
    made = helper.make_graph(nodes, "made", [pixels], [answers], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def plain(*colors):
    return np.array([np.broadcast_to(color, (4, 4, 3)) for color in colors], np.uint8)


RED, GREEN, GRAY, PALE = (200, 0, 0), (0, 200, 0), (90, 90, 90), (120, 100, 100)


@pytest.fixture
def written(tmp_path):
    """A function: a file with a second output, and a spec that has this threshold."""

    def write(threshold, made=None):
        content = export_onnx.with_metadata(
            made or of_onnx(graph()), ModelSpec(4, SPEC.class_names, known_threshold=threshold)
        )
        (tmp_path / "model.onnx").write_bytes(content)
        return tmp_path / "model.onnx"

    return write


@pytest.mark.parametrize("quantized", [False, True])
def test_the_score_is_the_largest_logit(quantized):
    before = graph(quantized=quantized)
    content = export_onnx.with_metadata(of_onnx(before), SPEC)
    pixels = plain(RED, GREEN, GRAY, PALE)
    answers, scores = load_bytes(content).scored(pixels)
    means = pixels.mean(axis=(1, 2), dtype=np.float32)
    np.testing.assert_allclose(scores, (means @ WEIGHTS).max(axis=1), rtol=1e-5, atol=1e-6)
    assert (answers == load_bytes(export_onnx.with_metadata(before, SPEC))(pixels)).all()
    assert len(before.graph.output) == 1


def test_without_a_softmax_there_is_no_score():
    with pytest.raises(ExportError, match=r"ends in Sigmoid; leave out --keep"):
        of_onnx(graph("Sigmoid"))


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.95, 0.99])
def test_the_threshold_keeps_the_share_that_is_asked_for(keep):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 3), np.uint8)
    scores = load_bytes(export_onnx.with_metadata(of_onnx(graph()), SPEC)).scored(pixels)[1]
    spec = with_threshold(SPEC, scores, without_labels(pixels, SPEC.class_names), keep)
    assert keep <= (scores >= spec.known_threshold).mean() < keep + 0.02


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_classifier_says_what_it_knows(engine, written):
    pytest.importorskip(engine)
    pixels = plain(RED, GRAY, GREEN, PALE)
    with Classifier(written(2.0), engine=engine) as classifier:
        many = list(classifier.classify_many(pixels, batch_size=3))
        assert [answer.is_known for answer in many] == [True, False, True, False]
        assert [answer.label for answer in many][::2] == ["red", "green"]
        assert [classifier.classify(image) for image in pixels] == many
        assert classifier.predict(pixels).shape == (4, 2)
        assert classifier.predict(pixels[:0]).shape == (0, 2)


def test_a_file_without_a_threshold_cannot_tell(reference):
    assert Classifier(reference / "model_int8.tflite").classify(plain(GRAY)[0]).is_known is None


@pytest.mark.parametrize(
    ("made", "threshold"), [(graph(), 2.0), (of_onnx(graph()), None)], ids=["no output", "no threshold"]
)
def test_a_graph_that_does_not_fit_its_spec_is_refused(made, threshold, written):
    with pytest.raises(ModelFormatError, match="expected one uint8 input"):
        Classifier(written(threshold, made))


def test_an_infinite_score_is_refused(written):
    made = of_onnx(graph())
    made.graph.node.append(helper.make_node("Div", ["largest", "zero"], ["familiarity"]))
    made.graph.node[-2].output[0] = "largest"
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), "zero"))
    with pytest.raises(ModelFormatError, match="expected one finite number per image"):
        Classifier(written(2.0, made)).classify(plain(RED)[0])


def test_what_is_not_known_begins_nothing(written):
    classifier = Classifier(written(2.0))
    detector = EventDetector(EventSettings(1, 1, min_seconds=0))
    told = [detector.update(classifier.classify(image)) for image in plain(GRAY, RED, GRAY)]
    assert [[(event.kind, event.label) for event in events] for events in told] == [
        [],
        [("begins", "red")],
        [("ends", "red")],
    ]


def test_classify_says_so_in_every_layout(written, tmp_path):
    Image.fromarray(plain(GRAY)[0]).save(tmp_path / "gray.png")
    command = [sys.executable, "-m", "runtime", "classify", str(written(2.0)), str(tmp_path / "gray.png")]

    def said(*options):
        return subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout

    assert said().endswith("(unlike all classes)\n")
    assert json.loads(said("--json"))["known"] is False
    assert said("--csv").splitlines()[1].split(",")[2] == "False"


@pytest.mark.parametrize(
    ("positive", "negative", "area"), [([2, 3], [0, 1], 1), ([0, 1], [2, 3], 0), ([1, 1], [1], 0.5), ([0, 2], [1], 0.5)]
)
def test_the_area_under_the_curve_is_how_often_the_order_is_right(positive, negative, area):
    assert auroc(np.array(positive, float), np.array(negative, float)) == area


def test_out_of_distribution_pictures_are_judged(written, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for number, color in enumerate((RED, GRAY, GRAY)):
        Image.fromarray(plain(color)[0]).save(tmp_path / "elsewhere" / f"{number}.png")
    (tmp_path / "elsewhere" / "broken.jpg").write_bytes(b"")
    photos = Dataset(plain(RED, GREEN, PALE, RED), np.array([0, 1, 0, 0]), ("red", "green"))
    found = judge(written(2.0), photos, tmp_path / "elsewhere")
    assert (found.photos, found.known) == (4, 3)
    kinds = [(each.kind, each.pictures) for each in found.out_of_distribution]
    assert kinds == [("elsewhere", 3), *((kind, 100) for kind in ("one color", "noise", "stripes", "clouds"))]
    assert sum(found.counts) == 4
    assert found.out_of_distribution[0].false_positives == pytest.approx(1 / 3)  # PALE is the threshold; GRAY is below
    assert found.out_of_distribution[0].accepted == 1
    assert found.out_of_distribution[0].auroc == pytest.approx((3 * 2.5 + 2) / 12)  # red ties with red
    assert "  3 of 4  " in format_familiarity({"model.onnx": found})
    with pytest.raises(DataError, match="no photo that can be read"):
        judge(written(2.0), photos, tmp_path / "absent")


def test_photos_of_the_class_none_are_out_of_distribution(tmp_path):
    content = export_onnx.with_metadata(of_onnx(graph()), ModelSpec(4, ("red", "none"), known_threshold=2.0))
    (tmp_path / "model.onnx").write_bytes(content)
    found = judge_folder(
        tmp_path, ["model.onnx", "absent.onnx"], Dataset(plain(RED, GRAY), np.array([0, 1]), ("red", "none")), "test"
    )
    one = found.files["model.onnx"]
    assert (one.photos, one.known) == (1, 1)
    of_none = one.out_of_distribution[0]
    assert (of_none.kind, of_none.pictures, of_none.accepted) == ("none", 1, 0)
    assert Known.read(tmp_path) == found
    assert judge_folder(tmp_path, [], Dataset(plain(RED), np.array([0]), ("red", "none")), "test") is None
    assert not (tmp_path / "known.json").exists()


def test_synthetic_pictures_are_of_any_size_and_the_same_each_time():
    first, again = synthetic.textures((6, 9), 5), synthetic.textures((6, 9), 5)
    assert {pixels.shape for pixels in first.values()} == {(5, 6, 9, 3)}
    for kind, pixels in first.items():
        assert pixels.dtype == np.uint8
        assert (pixels == again[kind]).all()
        assert len(np.unique(pixels.reshape(5, -1), axis=0)) == 5
    assert all(pixels.std() > 20 for pixels in first.values())


def test_a_file_that_knows_everything_is_not_judged(reference):
    assert judge(reference / "model_int8.tflite", None) is None


def test_images_of_the_class_none_need_not_be_familiar():
    images = Dataset(plain(RED, GRAY, GREEN), np.array([0, 1, 0]), ("apple", "none"))
    assert (divide(images)[0] == plain(RED, GREEN)).all()
    others = Dataset(images.pixels, images.labels, ("apple", "nothing"))
    assert len(divide(others)[0]) == 3
    assert len(divide(images.take(np.array([1])))[0]) == 1


@pytest.mark.parametrize(
    ("names", "threshold", "expected"),
    [
        (("red", "none"), None, [True, False]),
        (("red", "none"), 2.0, [True, False]),
        (("red", "green"), None, [None, None]),
        (("red", "green"), 2.0, [True, True]),
        (("red", "none"), 1e6, [False, False]),
    ],
)
def test_what_the_class_none_is_named_for_is_not_known(names, threshold, expected, tmp_path):
    made = graph() if threshold is None else of_onnx(graph())
    content = export_onnx.with_metadata(made, ModelSpec(4, names, known_threshold=threshold))
    (tmp_path / "model.onnx").write_bytes(content)
    answers = list(Classifier(tmp_path / "model.onnx").classify_many(plain(RED, GREEN)))
    assert [answer.is_known for answer in answers] == expected
    detector = EventDetector(EventSettings(1, 1, min_seconds=0))
    begun = [event.label for answer in answers for event in detector.update(answer) if event.kind == "begins"]
    assert begun == [name for name, known in zip(names, expected, strict=True) if known is not False]


def test_an_ncnn_graph_calls_its_logits_by_name():
    text = "7767517\n3 3\nInput in 0 1 0 0=4 1=4 2=3\nNoop 1 1 1 0 1\nSoftmax 1 1 1 1 out0 0=0 1=1\n"
    changed, weights = with_familiarity((text, b"w"))
    assert changed.splitlines()[3:] == ["Noop 1 1 1 0 familiarity", "Softmax 1 1 1 familiarity out0 0=0 1=1"]
    assert weights == b"w"
    with pytest.raises(ExportError, match="ends in Noop"):
        with_familiarity((text.replace("Softmax", "Noop"), b""))


def tiny(folder, last="softmax"):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    keras.Sequential([*layers, keras.layers.Dense(2, activation=last)]).save(folder / "tiny.keras")
    return Source(folder / "tiny.keras", class_names=("a", "b"))


@pytest.fixture(scope="module")
def noise():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), np.uint8)
    return Dataset(pixels, np.arange(100) % 2, ("a", "b"))


@pytest.mark.slow
def test_export_fixes_the_threshold_on_validation_images(tmp_path, noise, monkeypatch):
    files = ("model_fp32.onnx", "model_int8.onnx", "model_fp32.tflite", "model_int8.tflite")
    passes, scored = [], []
    monkeypatch.setattr(answers, "all_of", lambda *asked, once=answers.all_of: passes.append(1) or once(*asked))
    monkeypatch.setattr(familiarity, "of_onnx", lambda made: scored.append(1) or of_onnx(made))
    made = export(tiny(tmp_path), tmp_path / "out", noise, noise, Settings(quick=True, files=files, keep=0.9))
    assert not made.failed
    assert len(passes) == 2 + sum(len(decision.candidates) for decision in made.decisions.values())
    assert len(scored) == 1 + len(made.decisions["model_int8.onnx"].candidates), "a graph with a score is kept"
    scores = {}
    for name in files:
        classifier = Classifier(tmp_path / "out" / name)
        known = [answer.is_known for answer in classifier.classify_many(noise.pixels)]
        assert 0.9 <= np.mean(known) < 0.93
        scores[name] = classifier._scored(noise.pixels)[1]  # noqa: SLF001
        assert (classifier._scored(noise.pixels)[0] == classifier.predict(noise.pixels)).all()  # noqa: SLF001
        np.testing.assert_allclose(scores[name], scores[files[0]], atol=0.1 if "int8" in name else 1e-4)


@pytest.mark.slow
def test_the_score_is_there_unless_it_is_not_wanted_or_cannot_be(tmp_path, noise, monkeypatch):
    monkeypatch.setattr(known, "NEAR_CHANCE", -1.0)
    source, files = tiny(tmp_path), ("model_fp32.onnx", "model_fp32.tflite")
    for keep, expected in ((None, [True, False]), (1.0, [False, False])):
        export(source, tmp_path / "out", noise, noise, Settings(quick=True, files=files, keep=keep))
        specs = [Classifier(tmp_path / "out" / name).spec for name in files]
        assert [spec.known_threshold is not None for spec in specs] == expected
