"""The graphs that the quantizers build."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling
from pipeline.export.quantize.config import METHODS, QuantConfig
from pipeline.export.quantize.layer import float_share
from pipeline.export.quantize.tflite_pixels import take_pixels_through_float
from quantized import NAMES, SIDE, network, pixels, quantizer_of, rounded_down
from runtime.spec import ModelSpec


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_every_recipe_builds_and_stays_close_to_keras(kind):
    deployable = Deployable(network(), NAMES)
    quantizer, pack = quantizer_of(kind, deployable, (50, 100))
    images = pixels(50, seed=2)
    expected = deployable.probabilities(images)
    configs = [QuantConfig(method, images=50) for method in METHODS]
    configs += [QuantConfig(images=100).flipped(name) for name in quantizer.changes]
    configs.append(QuantConfig(images=100, float_layers=(quantizer.layers[0].output,)))
    for config in configs:
        predict = load_bytes(pack(quantizer.build(config), ModelSpec(SIDE, NAMES, "int8"), None))
        assert np.abs(predict(images) - expected).mean() < difference_of_a_constant(expected) / 3, config


def difference_of_a_constant(expected):
    """Mean difference of an answer that is the same for all images, namely the mean."""
    return np.abs(expected.mean(axis=0) - expected).mean()


SCALINGS = {
    "a mean a channel": PixelScaling.of(scale=(1 / 255,), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)),
    "between two zero points": PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)),
    "a zero point": PixelScaling.of(scale=(1 / 128,), offset=(-1,)),
    "negative": PixelScaling.of(scale=(-1 / 255,), offset=(1,)),
}


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_other_scalings_quantize_too(kind, scaling):
    deployable = Deployable(network(), NAMES, scaling)
    quantizer, pack = quantizer_of(kind, deployable)
    predict = load_bytes(pack(quantizer.build(QuantConfig(images=100)), ModelSpec(SIDE, NAMES, "int8"), None))
    images = pixels(50, seed=2)
    expected = deployable.probabilities(images)
    assert np.abs(predict(images) - expected).mean() < difference_of_a_constant(expected) / 3


def operators_of(flatbuffer):
    interpreter = Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    return [operator["op_name"] for operator in interpreter._get_ops_details()]  # noqa: SLF001 - the only list


@pytest.mark.parametrize("scaling", [UNIT_SCALING, SCALINGS["between two zero points"], SCALINGS["a zero point"]])
def test_scaling_of_pixels_costs_no_operator_in_int8(scaling):
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES, scaling))
    operators = operators_of(quantizer.build(QuantConfig(images=100)))
    assert operators[:3] == ["DEQUANTIZE", "QUANTIZE", "CONV_2D"]  # none but the step from uint8 to int8
    quantizer, _ = quantizer_of("onnx", Deployable(network(), NAMES, scaling))
    graph = quantizer.build(QuantConfig(images=100)).graph
    assert not {"QuantizeLinear", "Pad", "Add", "Mul"} & {node.op_type for node in graph.node[:2]}


def test_pixels_become_the_same_int8_through_float():
    scaled = PixelScaling.of(scale=(1 / 128,), offset=(-1,))
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES, scaled))
    content = quantizer.build(QuantConfig(images=100))
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    every = np.resize(np.arange(256, dtype=np.uint8), (1, SIDE, SIDE, 3))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], every)
    interpreter.invoke()
    quantize = interpreter._get_ops_details()[1]  # noqa: SLF001 - the only list
    quantized = interpreter.get_tensor(int(quantize["outputs"][0]))
    assert (quantized.astype(int) == every.astype(int) - 128).all()
    assert take_pixels_through_float(content) == content  # there is nothing more to do


@pytest.mark.parametrize("activation", ["softplus", "mish"])
def test_softplus_stays_in_float_where_tflite_writes_it_by_an_exponential(activation):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0), activation=activation),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)),
        ]
    )
    deployable, images = Deployable(model, NAMES), pixels(50, seed=2)
    quantizer, pack = quantizer_of("tflite", deployable)
    content = quantizer.build(QuantConfig(images=100))
    operators = operators_of(content)
    before = operators.index("EXP") - 1
    assert operators[before : before + 4] == ["DEQUANTIZE", "EXP", "ADD", "LOG"]
    answers = load_bytes(pack(content, ModelSpec(SIDE, NAMES, "int8"), None))(images)
    assert np.abs(answers - deployable.probabilities(images)).mean() < 0.01


def test_a_float_head_computes_its_logits_in_float():
    config = QuantConfig(images=100, float_head=True)
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES))
    assert operators_of(quantizer.build(config))[-3:] == ["DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"]
    quantizer, _ = quantizer_of("onnx", Deployable(network(), NAMES))
    assert [node.op_type for node in quantizer.build(config).graph.node][-3:] == ["DequantizeLinear", "Gemm", "Softmax"]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_multiplications_are_those_of_the_layers(kind):
    quantizer, _ = quantizer_of(kind, Deployable(network(), NAMES))
    own = [27 * 8 * 16 * 16, 72 * 16 * 8 * 8, 144 * 16 * 8 * 8, 1_024 * 4]
    assert [layer.multiplications for layer in quantizer.layers] == own
    assert float_share(quantizer.layers, quantizer.layers[:1]) == pytest.approx(own[0] / sum(own))
    assert float_share((), ()) == 0


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_corrected_biases_make_up_for_rounded_weights(kind):
    deployable, images = Deployable(rounded_down(), NAMES), pixels(50, seed=2)
    quantizer, pack = quantizer_of(kind, deployable)
    expected = deployable.probabilities(images)
    for form in {QuantConfig(images=100), QuantConfig(images=100, qoperator=kind == "onnx")}:
        distances = []
        for config in (form, form.flipped("bias_correction")):
            predict = load_bytes(pack(quantizer.build(config), ModelSpec(SIDE, NAMES, "int8"), None))
            distances.append(np.abs(predict(images) - expected).mean())
        assert distances[1] < distances[0] / 3, (form, distances)
