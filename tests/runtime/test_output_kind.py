"""Whether a graph of another exporter returns probabilities: from its spec, else from its last operators."""

import flatbuffers
import numpy as np
import pytest

import tiny_ncnn
from runtime import Classifier, ModelFormatError, ModelSpec, ModelSpecError
from runtime.engines import ncnn, tflite_file
from runtime.engines.graph import MAX_DEPTH, Graph, Node
from runtime.engines.litert import LitertTensor
from runtime.engines.registry import engines

NAMES = ("a", "b", "c", "d")
WEIGHTS = np.random.default_rng(0).normal(size=(3, 4))
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
SHAPE = ["n", 8, 8, 3]
FLAT = ("flat", np.array([-1, 4]))
BIAS = ("bias", np.linspace(-1, 1, 4, dtype=np.float32))
SCALE, ZERO = ("scale", np.array(1 / 256, np.float32)), ("zero", np.array(0, np.uint8))
QUANTIZED = [("QuantizeLinear", ["scale", "zero"], {}), ("DequantizeLinear", ["scale", "zero"], {})]
LOGITS = (PIXELS / np.float32(255)).mean(axis=(1, 2)) @ WEIGHTS


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ([], softmax(LOGITS)),
        ([("Softmax", [], {})], softmax(LOGITS)),
        (
            [("Softmax", [], {}), ("Reshape", ["flat"], {}), ("Identity", [], {}), ("Cast", [], {"to": 1})],
            softmax(LOGITS),
        ),
        ([("Sigmoid", [], {})], sigmoid(LOGITS)),
        ([("Sigmoid", [], {}), ("Flatten", [], {"axis": 1})], sigmoid(LOGITS)),
        ([("LogSoftmax", [], {})], softmax(LOGITS)),
        ([("Add", ["bias"], {})], softmax(LOGITS + BIAS[1])),
        ([("Add", ["bias"], {}), ("Mul", ["scale"], {}), ("Reshape", ["flat"], {})], softmax((LOGITS + BIAS[1]) / 256)),
    ],
)
def test_the_last_operators_say_what_the_answers_are(external, ending, expected):
    path = external(SHAPE, WEIGHTS, ending=ending, constants=[FLAT, BIAS, SCALE, ZERO])
    assert np.allclose(Classifier(path, spec=ModelSpec(8, NAMES)).predict(PIXELS), expected, atol=1e-5)


def test_a_quantized_output_of_a_thousand_classes_is_no_logit(external):
    weights = np.zeros((3, 1000))
    weights[0, 7] = 60
    constants = [SCALE, ZERO]
    path = external(SHAPE, weights, ending=[("Softmax", [], {}), *QUANTIZED], constants=constants)
    classifier = Classifier(path, spec=ModelSpec(8, tuple(f"c{index}" for index in range(1000))))
    assert classifier.predict(PIXELS[:1] * 0).sum() == 0  # a black picture, to which each class gets less than a step
    prediction = classifier.classify(np.full((8, 8, 3), 200, np.uint8))
    assert prediction.label == "c7"
    assert prediction.probability == pytest.approx(255 / 256)


@pytest.mark.parametrize(
    ("ending", "operator"),
    [
        ([("Relu", [], {})], "Relu"),
        ([("Softmax", [], {}), ("Mul", ["scale"], {})], "Mul"),
        ([("Softmax", [], {}), ("Add", ["bias"], {})], "Add"),
        ([("Sigmoid", [], {}), ("Relu", [], {}), ("Reshape", ["flat"], {})], "Reshape"),
        ([("Exp", [], {})], "Exp"),
    ],
)
def test_an_uncertain_answer_is_a_question(external, ending, operator):
    path = external(SHAPE, WEIGHTS, ending=ending, constants=[FLAT, BIAS, SCALE])
    with pytest.raises(ModelSpecError, match=rf"external\.onnx: its last operator, {operator}, .*output='softmax'"):
        Classifier(path, spec=ModelSpec(8, NAMES))


@pytest.mark.parametrize("ending", [[], [("Softmax", [], {})], [("Tanh", [], {})]])
def test_the_spec_is_believed_before_the_graph(external, ending):
    path = external(SHAPE, WEIGHTS / 10, ending=ending)
    with_logits = Classifier(path, spec=ModelSpec(8, NAMES, output="logits")).predict(PIXELS)
    with_sigmoids = Classifier(path, spec=ModelSpec(8, NAMES, output="sigmoid")).predict(PIXELS * 0)
    assert np.allclose(with_logits.sum(axis=1), 1)
    assert set(np.unique(with_sigmoids)) in ({0}, {0.25})


@pytest.mark.parametrize(
    ("output", "values"), [("softmax", [-3.2, 0, 0, 1]), ("sigmoid", [0.5, 0.5, 0, 1.5]), ("softmax", [0, 0, 0, 900])]
)
def test_probabilities_are_between_0_and_1_whatever_the_spec_says(external, output, values):
    path = external(SHAPE, WEIGHTS, ending=[("Add", ["bias"], {})], constants=[("bias", np.array(values, np.float32))])
    with pytest.raises(ModelSpecError, match=r"are not probabilities: if they are logits, pass .*output='logits'"):
        Classifier(path, spec=ModelSpec(8, NAMES, output=output))


@pytest.mark.parametrize(("ending", "output"), [([("Sigmoid", [], {})], "sigmoid"), ([], "logits")])
@pytest.mark.parametrize("told", [True, False])
def test_one_number_for_two_classes_is_that_of_the_second(external, ending, output, told):
    path = external(SHAPE, WEIGHTS[:, :1], ending=ending)
    spec = ModelSpec(8, ("no", "yes"), output=output if told else None)
    yes = sigmoid(LOGITS[:, :1])
    assert np.allclose(Classifier(path, spec=spec).predict(PIXELS), np.hstack([1 - yes, yes]), atol=1e-6)


def test_a_carried_spec_says_what_its_graph_answers_with(archived):
    pytest.importorskip("ncnn", reason="NCNN is not installed")
    text = tiny_ncnn.GRAPH.replace("4 4", "3 3").replace("Softmax  soft 1 1 2 out0 0=0 1=1\n", "")
    weights = np.random.default_rng(0).normal(size=(4, 3)) / 50
    path = archived(weights, param=text, spec=ModelSpec(8, NAMES, output="logits", temperature=3.0).to_json())
    logits = PIXELS.mean(axis=(1, 2)) @ weights.T  # which its graph has divided by the temperature
    assert np.allclose(Classifier(path).predict(PIXELS), softmax(logits), atol=1e-5)


# What no class may be named by.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", ["softmax", "logits", "sigmoid"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_what_is_no_number_names_no_class(external, value, output, engine):
    if next(each for each in engines() if each.name == engine).missing:
        pytest.skip(f"{engine} is not installed")
    bias = np.array([0, 0, 0, value], np.float32)
    path = external(SHAPE, 0 * WEIGHTS, ending=[("Add", ["bias"], {})], constants=[("bias", bias)])
    spec = ModelSpec(8, NAMES, output=output)
    if output == "logits" and value == -np.inf:
        assert Classifier(path, spec=spec, engine=engine).predict(PIXELS)[0, 3] == 0  # a class that cannot be
        return
    with pytest.raises(ModelFormatError, match="NaN or infinity"):
        Classifier(path, spec=spec, engine=engine)


def test_what_is_no_number_for_one_picture_alone_is_refused_there(external):
    path = external(SHAPE, -np.abs(WEIGHTS), ending=[("Sqrt", [], {})])
    classifier = Classifier(path, spec=ModelSpec(8, NAMES, output="logits"))
    classifier.predict(PIXELS * 0)
    with pytest.raises(ModelFormatError, match="NaN or infinity"):
        classifier.classify(PIXELS[0])


def test_fewer_rows_than_pictures_are_refused(external):
    path = external(SHAPE, WEIGHTS, ending=[("ReduceMean", [], {"axes": [0], "keepdims": 1}), ("Softmax", [], {})])
    classifier = Classifier(path, spec=ModelSpec(8, NAMES))
    classifier.predict(PIXELS[:1])
    with pytest.raises(ModelFormatError, match=r"for 5 images its output has shape \(1, 4\)"):
        classifier.predict(PIXELS)
    with pytest.raises(ModelFormatError, match="for 5 images"):
        list(classifier.classify_many(list(PIXELS)))


def test_a_quantized_output_without_its_scale_is_refused(external):
    path = external(SHAPE, WEIGHTS, ending=[("Softmax", [], {}), QUANTIZED[0]], constants=[SCALE, ZERO], answers=2)
    with pytest.raises(ModelFormatError, match="its output is uint8 of unknown scale"):
        Classifier(path, spec=ModelSpec(8, NAMES))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_flatbuffer_of_quantized_answers_needs_a_scale(dtype, scale):
    with pytest.raises(ValueError, match="of unknown scale"):
        LitertTensor(0, "answers", dtype, (1, 4), scale, 0).dequantization_table()


# Graphs of the other formats, and hostile ones.


def flatbuffer(*operators):
    """A .tflite file of operators one after the other: each the number of a built-in and of a fused activation."""
    builder = flatbuffers.Builder()

    def vector(items, prepend):
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            prepend(item)
        return builder.EndVector()

    def table(**slots):
        builder.StartObject(12)
        for slot, (put, value) in ((int(name[1:]), pair) for name, pair in slots.items()):
            put(slot, value, 0)
        return builder.EndObject()

    offset, whole = builder.PrependUOffsetTRelativeSlot, builder.PrependInt32Slot
    codes = [table(f0=(builder.PrependInt8Slot, min(code, 127)), f3=(whole, code)) for code, _ in operators]
    made = []
    for index, (code, activation) in enumerate(operators):
        numbers = vector([index], builder.PrependInt32), vector([index + 1], builder.PrependInt32)
        options = {0: "f0", 3: "f3", 9: "f0"}.get(code)
        options = table(**{options: (builder.PrependInt8Slot, activation)}) if options else 0
        made.append(table(f0=(whole, index), f1=(offset, numbers[0]), f2=(offset, numbers[1]), f4=(offset, options)))
    outputs, entries = vector([len(operators)], builder.PrependInt32), vector(made, builder.PrependUOffsetTRelative)
    graph = table(f2=(offset, outputs), f3=(offset, entries))
    codes = vector(codes, builder.PrependUOffsetTRelative)
    graphs = vector([graph], builder.PrependUOffsetTRelative)
    builder.Finish(table(f1=(offset, codes), f2=(offset, graphs)), file_identifier=b"TFL3")
    return bytes(builder.Output())


DENSE, CONV, SOFTMAX, LOGISTIC, RESHAPE, DEQUANTIZE, QUANTIZE, LOG_SOFTMAX = 9, 3, 25, 14, 22, 6, 114, 50


@pytest.mark.parametrize(
    ("operators", "kind"),
    [
        ([(DENSE, 0), (SOFTMAX, 0)], "softmax"),
        ([(SOFTMAX, 0), (RESHAPE, 0), (QUANTIZE, 0), (DEQUANTIZE, 0)], "softmax"),
        ([(DENSE, 0), (LOGISTIC, 0)], "sigmoid"),
        ([(DENSE, 0)], "logits"),
        ([(CONV, 0), (RESHAPE, 0)], "logits"),
        ([(LOG_SOFTMAX, 0)], "logits"),
        ([(DENSE, 1)], None),
        ([(CONV, 3), (RESHAPE, 0)], None),
        ([(200, 0)], None),
    ],
)
def test_the_operators_of_a_flatbuffer(operators, kind):
    assert tflite_file.read_graph(flatbuffer(*operators)).output_kind() == kind


def test_a_damaged_flatbuffer_is_a_value_error():
    content = flatbuffer((DENSE, 0), (SOFTMAX, 0))
    random = np.random.default_rng(0)
    tflite_file.read_graph(content)
    for length in range(len(content)):
        with pytest.raises(ValueError, match="not a TFLite flatbuffer"):
            tflite_file.read_graph(content[:length] if length else b"")
    for _ in range(2000):
        mutant = bytearray(content)
        mutant[random.integers(len(content))] = random.integers(256)
        try:
            tflite_file.read_graph(bytes(mutant)).output_kind()
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("Softmax soft 1 1 2 out0 0=0 1=1", "softmax"),
        ("Sigmoid s 1 1 2 out0", "sigmoid"),
        ("InnerProduct last 1 1 2 out0 0=4 1=0 2=16", "logits"),
        ("InnerProduct last 1 1 2 out0 0=4 1=0 2=16 9=4", "sigmoid"),
        ("InnerProduct last 1 1 2 out0 0=4 1=0 2=16 9=1", None),
        ("ReLU last 1 1 2 out0", None),
    ],
)
def test_the_layers_of_ncnn(archived, layer, kind):
    text = tiny_ncnn.GRAPH.replace("Softmax  soft 1 1 2 out0 0=0 1=1", layer)
    content = archived(np.eye(4, 3), param=text).read_bytes()
    assert ncnn.BACKEND.read_graph(content).output_kind() == kind


def test_hostile_graphs_take_no_time():
    doubled = tuple(Node("Add", (f"{index}", f"{index}"), (f"{index + 1}",)) for index in range(MAX_DEPTH * 100))
    assert Graph(doubled, (str(MAX_DEPTH - 1),)).output_kind() is None
    assert Graph(doubled, (str(MAX_DEPTH * 100),)).output_kind() is None
    assert Graph((Node("Identity", ("y",), ("y",)),), ("y",)).output_kind() is None
    assert Graph((Node("Softmax", (), ("y",)), Node("Softmax", (), ("z",))), ("y", "z")).output_kind() is None
    assert Graph((), ()).output_kind() is None
