"""Operators that converters lack are expressed by others, or reported with their layers."""

from types import SimpleNamespace

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import pipeline.export
from pipeline.errors import ExportError
from pipeline.export import onnx as export_onnx
from pipeline.export.failure import why_not
from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.rewrites import free_batch, share_batch_constants
from pipeline.export.translate import layer_of, spell_out, translate
from pipeline.system.costs import Costs
from runtime.spec import ModelSpec

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
NAMES = ("a", "b", "c")


def classifier(*body):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((16, 16, 3)), *body, layers.Dense(3)])


def test_erfc_and_expm1_are_spelled_out():
    @tf.function(input_signature=[tf.TensorSpec((5,), tf.float32)])
    def function(x):
        return tf.math.erfc(x) + tf.math.expm1(x)

    values = tf.constant([-2.0, -0.5, 0.0, 1e-3, 3.0])
    expected = function(values).numpy()
    definition = function.get_concrete_function().graph.as_graph_def()
    names = [node.name for node in definition.node if node.op == "Placeholder"]
    spell_out(definition)
    assert not {"Erfc", "Expm1"} & {node.op for node in definition.node}
    output = next(node.name for node in definition.node if node.op == "AddV2")
    pruned = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), []).prune(
        f"{names[0]}:0", f"{output}:0"
    )
    assert np.abs(pruned(values).numpy() - expected).max() <= 1e-6


BODIES = {
    "grouped": [layers.Conv2D(6, 3, groups=3), layers.Activation("celu"), layers.GlobalMaxPooling2D()],
    "recurrent": [layers.AveragePooling2D(4), layers.Reshape((4, 12)), layers.LSTM(5)],
    "attention": [
        layers.Conv2D(8, 8, strides=8),
        layers.Reshape((4, 8)),
        layers.Dense(8, "gelu"),
        layers.GlobalAveragePooling1D(),
    ],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_networks_answer_any_number_of_images_in_onnx(body):
    deployable = Deployable(classifier(*body), NAMES)
    graph = export_onnx.fp32(export_onnx.convert(deployable), deployable.network_scaling)
    run = load_bytes(export_onnx.with_metadata(graph, ModelSpec(16, NAMES)))
    for count in (1, 3):
        expected = deployable.probabilities(PIXELS[:count])
        assert np.abs(run(PIXELS[:count]) - expected).max() <= 1e-6
    assert not tf.config.functions_run_eagerly()
    assert not any(getattr(layer, "unroll", False) for layer in deployable.model.layers)


def graph_of(*nodes, constants, result):
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (2, 3))
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, result)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, "graph", [image], [output], tensors), opset_imports=[helper.make_opsetid("", 17)]
    )


@pytest.mark.parametrize(
    ("rows", "shared"), [([[1, 2, 3], [1, 2, 3]], True), ([[1, 2, 3], [4, 5, 6]], False)], ids=["equal", "of its own"]
)
def test_a_constant_for_each_image_becomes_one_for_all(rows, shared):
    model = graph_of(
        helper.make_node("Add", ["image", "rows"], ["y"]), constants={"rows": np.array(rows, np.float32)}, result=(2, 3)
    )
    share_batch_constants(model)
    assert (numpy_helper.to_array(model.graph.initializer[0]).shape[0] == 1) == shared


def test_rows_of_all_images_stay_rows_of_all_images():
    model = graph_of(
        helper.make_node("Reshape", ["image", "flat"], ["column"], name="flatten"),
        helper.make_node("Reshape", ["column", "back"], ["y"], name="back"),
        constants={"flat": np.array([6, 1]), "back": np.array([2, 3])},
        result=(2, 3),
    )
    free_batch(model)
    images = np.arange(15, dtype=np.float32).reshape(5, 3)
    assert (ReferenceEvaluator(model).run(None, {"image": images})[0] == images).all()


def test_an_operator_that_onnx_lacks_is_named_with_its_layer():
    image = keras.Input((16, 16, 3))
    odd = keras.ops.erfinv(layers.Activation("tanh")(layers.Conv2D(2, 3)(image)))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(odd)))
    with pytest.raises(ExportError, match=r"no operator for Erfinv \(layer "):
        translate(Deployable(model, NAMES))


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            'unsupported\nFlex ops: FlexErfinv\nDetails: fused["Erfinv:", "functional_1/odd_1/Erfinv@x"]',
            "it has no operator for FlexErfinv (layer odd_1)",
        ),
        ('Node, ("functional_1/odd_1/F", F, "", -1), No Op registered for F with', "no operator for F (layer odd_1)"),
        ("broken\nand more", "ValueError: broken"),
        ("", "ValueError: "),
    ],
    ids=["TFLite", "ONNX Runtime", "other", "nothing"],
)
def test_what_a_converter_says_is_one_sentence(message, says):
    assert why_not(ValueError(message)).endswith(says)
    assert "\n" not in why_not(ValueError(message))


def test_the_layer_of_an_operator():
    assert layer_of("functional_1/dense_1/Gelu/Erfc") == "dense_1/Gelu"
    assert layer_of("odd") == "odd"


def test_a_format_that_fails_leaves_the_others(monkeypatch):
    def broken(*_):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(pipeline.export, "_finish", lambda product, *_: product.graph)
    inputs = SimpleNamespace(costs=Costs())
    good = SimpleNamespace(graph=b"good", decision=None)
    rows = [SimpleNamespace(file="a", build=broken), SimpleNamespace(file="b", build=lambda *_: good)]
    made = pipeline.export._build(inputs, rows, {})  # noqa: SLF001 - the step itself
    assert made.contents == {"b": b"good"}
    assert made.failed == {"a": "RuntimeError: no such thing"}


def test_a_full_disk_is_no_fault_of_a_format():
    def full(*_):
        raise OSError(28, "No space left on device")

    inputs = SimpleNamespace(costs=Costs())
    with pytest.raises(OSError, match="No space"):
        pipeline.export._build(inputs, [SimpleNamespace(file="a", build=full)], {})  # noqa: SLF001
