"""Write the files of this folder with Keras 2: pip install tf_keras, then run this script here.

``answers.npz`` holds each model's output for ``np.random.default_rng(0).random((4, 16, 16, 3), np.float32)``.
"""

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

IMAGES = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)


def layers_that_changed():
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(16, 16, 3)),
            layers.BatchNormalization(name="bn/a"),
            layers.LeakyReLU(alpha=0.2),
            layers.DepthwiseConv2D(3),
            layers.SeparableConv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    )


def operators_and_nested_models():
    inner = keras.Input((16, 16, 4))
    value = layers.Conv2D(4, 3)(inner)
    base = keras.Model(inner, tf.nn.relu6(value) + value, name="base")
    tail = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")], name="tail")
    image = keras.Input((16, 16, 3))
    value = layers.Conv2D(4, 1)(layers.RandomFlip()(image) / 127.5 - 1)
    return keras.Model(image, tail(base(value, training=False)))


def as_teachable_machine_nests_them():
    image = keras.Input((16, 16, 3))
    base = keras.Model(image, layers.Conv2D(4, 3)(image), name="base")
    head = [layers.Dense(5, activation="relu", input_shape=(4,)), layers.Dense(3, activation="softmax", use_bias=False)]
    model = keras.Sequential([keras.Sequential([base, layers.GlobalAveragePooling2D()]), keras.Sequential(head)])
    model.build((None, 16, 16, 3))
    return model


def an_operator_without_a_layer():
    image = keras.Input((16, 16, 3))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(image[..., ::-1])))


MODELS = {
    "layers": (layers_that_changed, ("h5", "keras")),
    "operators": (operators_and_nested_models, ("h5", "keras")),
    "teachable": (as_teachable_machine_nests_them, ("h5", "keras")),
    "slicing": (an_operator_without_a_layer, ("h5",)),
}


def main():
    answers = {}
    for name, (build, suffixes) in MODELS.items():
        model, random = build(), np.random.default_rng(1)
        model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
        for suffix in suffixes:
            model.save(f"{name}.{suffix}")
        answers[name] = model.predict(IMAGES, verbose=0)
    np.savez("answers.npz", **answers)


if __name__ == "__main__":
    main()
