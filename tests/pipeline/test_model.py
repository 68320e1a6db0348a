import keras
import numpy as np
import pytest

from pipeline.errors import ArchitectureError
from pipeline.model import Architecture, build, build_trainable, fold, format_summary, summarize


def test_network_is_the_one_of_the_notes():
    rows = summarize(build())
    assert [(row.name, row.output_shape, row.parameters) for row in rows] == [
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
    assert build().count_params() == 528_054
    assert sum(row.multiply_accumulates for row in rows) == 1_762_184
    assert "528,054" in format_summary(rows)


def test_other_shapes_are_built():
    model = build(Architecture(class_count=3, side=48, filters=(8, 16, 32, 64)))
    assert model.input_shape == (None, 48, 48, 3)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 20}, "side 20 does not survive 3 poolings"),
        ({"side": 4}, "side 4 does not survive"),
        ({"class_count": 1}, "at least 2 classes"),
        ({"filters": ()}, "at least 1 filter"),
    ],
)
def test_impossible_shapes_are_refused(options, message):
    with pytest.raises(ArchitectureError, match=message):
        Architecture(**options)


def test_folding_batch_normalisation_changes_nothing():
    keras.utils.set_random_seed(0)
    architecture = Architecture()
    trained = build_trainable(architecture, dropout=0.2)
    random = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    images = random.random((16, 32, 32, 3), np.float32)
    folded = fold(trained, architecture)
    assert folded.count_params() == 528_054
    assert np.abs(folded.predict(images, verbose=0) - trained.predict(images, verbose=0)).max() <= 1e-6
