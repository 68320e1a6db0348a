"""Files of the stock converters: the kind of output is inferred from their last operators."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

SIDE, CLASSES = 8, 1000
NAMES = tuple(f"c{index}" for index in range(CLASSES))
ENDS = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "logits": None,
    "softmax layer": "layer",
    "half precision": "float16",
}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)


def network(end):
    """A network whose answers go far from 1/1000, and its answers to ``PIXELS``."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    kernel = keras.initializers.RandomNormal(stddev=1.0)
    last = [layers.Dense(CLASSES, activation=end if end in ("softmax", "sigmoid") else None, kernel_initializer=kernel)]
    last += [layers.Softmax()] if end == "layer" else []
    last += [layers.Activation("softmax", dtype="float32")] if end == "float16" else []
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 3), layers.Flatten(), *last])
    return model, np.asarray(model(PIXELS.astype(np.float32) / 255))


def flatbuffer(model, *, quantized):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis].astype(np.float32) / 255] for image in PIXELS)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def onnx_file(model):
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="x")]
    proto, _ = tf2onnx.convert.from_function(tf.function(model), input_signature=signature, opset=17)
    return proto.SerializeToString()


def expected(answers, end):
    if end is not None:
        return answers
    exponentials = np.exp(answers - answers.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["onnx", "tflite", "quantized tflite"])
def test_stock_files_answer_with_probabilities(tmp_path, end, kind):
    from runtime import Classifier, ModelSpec

    model, answers = network(ENDS[end])
    path = tmp_path / f"model.{kind.split()[-1]}"
    path.write_bytes(onnx_file(model) if kind == "onnx" else flatbuffer(model, quantized=kind.startswith("quant")))
    got = Classifier(path, spec=ModelSpec(SIDE, NAMES)).predict(PIXELS)
    want = expected(answers, ENDS[end])
    assert np.abs(got - want).max() < (1e-4 if "quantized" not in kind else 0.3)
    if "quantized" not in kind:
        assert (got.argmax(axis=1) == want.argmax(axis=1)).all()
    assert got.max() > 0.3
