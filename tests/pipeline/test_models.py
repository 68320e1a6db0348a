import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import ArchitectureError
from pipeline.models import PRESETS, build, build_trainable, fold, format_summary, summarize
from pipeline.models.normalization import FusedBatchNormalization
from pipeline.models.pooling import halved
from pipeline.models.unfold import unfold


def shaken(model):
    """The model with every batch normalization far from the identity."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            weights = [random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()]
            if layer.scale:  # what a training could make of it
                weights[0] *= random.choice([-1, 1], weights[0].shape)
            layer.set_weights(weights)
    return model


def test_network_is_the_one_of_the_notes():
    model = build()
    assert [(row.name, row.output_shape, row.parameters) for row in summarize(model)] == [
        ("Conv2D", (32, 32, 16), 208),
        ("MaxPooling2D", (16, 16, 16), 0),
        ("Conv2D", (16, 16, 32), 2_080),
        ("MaxPooling2D", (8, 8, 32), 0),
        ("Conv2D", (8, 8, 64), 8_256),
        ("MaxPooling2D", (4, 4, 64), 0),
        ("Flatten", (1024,), 0),
        ("Dense", (500,), 512_500),
        ("Dense", (10,), 5_010),
    ]
    assert len(model.layers) == 9
    assert model.count_params() == 528_054


@pytest.mark.parametrize(
    ("preset", "parameters", "multiply_accumulates"),
    [
        ("notes", 528_054, 1_762_184),
        ("resnet8", 77_706, 12_501_632),
        ("vgg8", 495_370, 38_192_384),
        ("separable", 73_194, 2_982_016),
    ],
)
def test_presets_have_their_sizes(preset, parameters, multiply_accumulates):
    rows = summarize(build(preset))
    assert sum(row.parameters for row in rows) == parameters
    assert sum(row.multiply_accumulates for row in rows) == multiply_accumulates
    assert f"{parameters:,}" in format_summary(rows)
    assert f"{multiply_accumulates:,}" in format_summary(rows)


@pytest.mark.parametrize("preset", PRESETS)
def test_other_shapes_are_built(preset):
    model = build(preset, class_count=3, side=48)
    assert model.input_shape == (None, 48, 48, 3)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 20}, "side 20 does not fit notes, which reduces images by 8"),
        ({"side": 0}, "side 0 does not fit notes"),
        ({"side": 32, "width": 20}, "side 20 does not fit notes, which reduces images by 8"),
        ({"class_count": 1}, "at least 2 classes"),
        ({"preset": "resnet9"}, "no model 'resnet9': choose one of notes, resnet8"),
    ],
)
def test_impossible_shapes_are_refused(options, message):
    with pytest.raises(ArchitectureError, match=message):
        build(**options)


FOLDED = [("notes", 32, 32), ("resnet8", 32, 32), ("resnet8", 12, 12), ("vgg8", 16, 16)]
FOLDED += [("separable", 32, 32), ("separable", 8, 8), ("notes", 16, 48), ("resnet8", 12, 20)]
FOLDING_TOLERANCE = {"separable": 1e-4}
"""Largest difference of a probability, by default 1e-5: rounding adds up over the separable network's 14 layers."""


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if not preset.one_side])
def test_networks_that_average_all_places_take_images_of_any_side(preset):
    trained = build_trainable(preset, side=None)
    for side in (16, 32):
        assert trained(np.zeros((1, side, side, 3), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("reparam", [False, True])
@pytest.mark.parametrize(("preset", "height", "width"), FOLDED)
def test_folding_changes_nothing(preset, height, width, reparam):
    keras.utils.set_random_seed(0)
    trained = shaken(build_trainable(preset, side=height, width=width, dropout=0.2, reparam=reparam))
    images = np.random.default_rng(1).random((16, height, width, 3), np.float32)
    expected = keras.ops.softmax(trained(images, training=False)).numpy()
    folded = fold(trained)
    assert folded.count_params() == build(preset, side=height, width=width).count_params()
    assert np.abs(folded(images, training=False).numpy() - expected).max() <= FOLDING_TOLERANCE.get(preset, 1e-5)


@pytest.mark.parametrize("preset", ["notes", "resnet8", "vgg8", "separable"])
def test_unfolding_changes_nothing_even_in_training_mode(preset):
    random = np.random.default_rng(1)
    images = random.random((60, 16, 16, 3), np.float32)
    deployed = build(preset, class_count=4, side=16)
    for layer in deployed.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * 2, random.normal(0, 0.1, bias.shape)])
    trainable = build_trainable(preset, class_count=4, side=16)
    unfold(deployed, trainable, images)
    expected = deployed(images).numpy()
    assert expected.std() > 0.01
    for training in (False, True):
        assert np.abs(tf.nn.softmax(trainable(images, training=training)) - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        ("resnet8", {}, "notes can only start from a model with the same layers"),
        ("notes", {"class_count": 3}, "classes of notes differs"),
        ("notes", {"side": 24}, "hidden of notes differs"),
    ],
)
def test_another_network_is_not_unfolded(other, options, message):
    with pytest.raises(ArchitectureError, match=message):
        unfold(
            build(other, **({"class_count": 4, "side": 16} | options)),
            build_trainable("notes", 4, 16),
            np.zeros((1, 16, 16, 3), np.float32),
        )


def test_a_network_with_branches_is_not_unfolded():
    with pytest.raises(ArchitectureError, match="leave --reparam out"):
        unfold(
            build("notes", 4, 16), build_trainable("notes", 4, 16, reparam=True), np.zeros((1, 16, 16, 3), np.float32)
        )


@pytest.mark.parametrize(
    ("layer", "parameters", "multiply_accumulates"),
    [
        (keras.layers.DepthwiseConv2D(3, 2, padding="same"), 9 * 6 + 6, 9 * 6 * 4 * 4),
        (keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 9 * 12 + 12, 9 * 12 * 8 * 8),
        (keras.layers.Conv2D(4, 3, groups=2, padding="same"), 9 * 3 * 4 + 4, 9 * 3 * 4 * 8 * 8),
    ],
    ids=["depthwise", "two kernels a channel", "groups"],
)
def test_a_channel_that_is_convolved_apart_costs_its_own_kernel_alone(layer, parameters, multiply_accumulates):
    (row,) = summarize(keras.Sequential([keras.Input((8, 8, 6)), layer]))
    assert (row.parameters, row.multiply_accumulates) == (parameters, multiply_accumulates)


def after_a_step(layer, images):
    """Outputs, gradients and all weights after one step in training mode."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
        loss = tf.reduce_sum(tf.sin(outputs) * outputs)
    gradients = tape.gradient(loss, [images, *(variable.value for variable in layer.trainable_variables)])
    return [tensor.numpy() for tensor in (outputs, *gradients, *(weight.value for weight in layer.weights))]


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", [(8, 6, 5, 16), (8, 4, 4, 3), (8, 7)])
def test_the_fused_normalization_is_keras_s_own(shape, scaled):
    images = tf.constant(np.random.default_rng(0).normal(2, 3, shape), tf.float32)
    results = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=0.9, scale=scaled)
        layer.build(shape)
        layer.set_weights([np.linspace(0.5, 1.5, shape[-1]) for _ in layer.weights])
        results.append(after_a_step(layer, images))
    for expected, fused in zip(*results, strict=True):
        assert np.abs(fused - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1)


def test_the_fused_normalization_computes_bfloat16_with_float32_statistics():
    images = np.random.default_rng(0).normal(100, 1, (8, 6, 5, 16))
    layer = FusedBatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    outputs = layer(tf.cast(images, tf.bfloat16), training=True)
    assert outputs.dtype == tf.bfloat16
    rounded = tf.cast(tf.cast(images, tf.bfloat16), tf.float32).numpy()
    assert np.abs(layer.moving_variance.numpy() - rounded.var((0, 1, 2))).max() < 1e-3


def test_separable_keeps_to_its_budget():
    rows = summarize(build("separable"))
    assert sum(row.parameters for row in rows) < 100_000
    assert sum(row.multiply_accumulates for row in rows) < 3_000_000
    depthwise = [row for row in rows if row.name == "DepthwiseConv2D"]
    assert len(depthwise) == 6
    assert sum(row.multiply_accumulates for row in depthwise) < 0.1 * 3_000_000


@pytest.mark.parametrize(("preset", "sums"), [("notes", 3), ("resnet8", 10)])
def test_each_spatial_convolution_gets_a_branch(preset, sums):
    added = [layer for layer in build_trainable(preset, reparam=True).layers if isinstance(layer, keras.layers.Add)]
    assert len(added) == sums


def slopes(pool, images, upstream):
    with tf.GradientTape() as tape:
        tape.watch(images)
        pooled = pool(images)
    return pooled.numpy(), tape.gradient(pooled, images, upstream).numpy()


@pytest.mark.parametrize("shape", [(3, 4, 6, 5), (2, 5, 6, 1)], ids=["even", "odd"])
def test_pooling_of_training_has_the_values_and_gradient_of_keras(shape):
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=shape), tf.float32)
    upstream = tf.constant(random.normal(size=(shape[0], shape[1] // 2, shape[2] // 2, shape[3])), tf.float32)
    for ours, expected in zip(
        *(slopes(pool, images, upstream) for pool in (halved, keras.layers.MaxPooling2D(2))), strict=True
    ):
        assert np.array_equal(ours, expected)


def test_equal_largest_pixels_share_the_gradient():
    images = tf.constant([[[1.0, 3.0], [3.0, 2.0]]])[..., None]
    _, slope = slopes(halved, images, tf.constant([[[[8.0]]]]))
    assert slope.ravel().tolist() == [0, 4, 4, 0]
