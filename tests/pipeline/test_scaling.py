"""The pixel value that means 0 (zero point), and the folding of the scaling into the first convolution."""

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.export.load.fold_scaling import fold_scaling
from pipeline.export.load.front import Front
from pipeline.export.load.scaling import AS_THEY_ARE, PRESETS, UNIT_SCALING, PixelScaling


@pytest.mark.parametrize(
    ("scaling", "point"),
    [
        (UNIT_SCALING, 0),
        (PixelScaling.of((1 / 128,), (-1,)), 128),
        (PixelScaling.of((-1 / 255,), (1,)), None),  # a quantized tensor has no negative scale
        (PixelScaling.of((1 / 255,), (1,)), None),  # 0 would be pixel -255
        (PRESETS["tf"], None),  # 127.5
    ],
)
def test_a_pixel_value_means_0(scaling, point):
    assert scaling.zero_point == point


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("bgr", [False, True])
def test_a_convolution_takes_the_scaling_before_it(padding, bgr):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    convolved = layers.Conv2D(4, 3, padding=padding, bias_initializer="normal")(image)
    model = keras.Model(image, layers.Flatten()(convolved))
    scaling = PixelScaling((1 / 50, 1 / 60, 1 / 70), (0.5, -2.0, 3.0), bgr)
    folded, left = fold_scaling(Front(model, AS_THEY_ARE, (), (model,)), scaling)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), dtype=np.uint8)
    assert left == UNIT_SCALING
    np.testing.assert_allclose(folded(left(pixels)), model(scaling(pixels)), atol=1e-4)
