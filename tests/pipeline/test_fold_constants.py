"""The constant part of a graph is computed once."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.export.fold_constants import fold_constants

FACTOR = np.float32([1.1, 2.2, 3.3])
RESULTS = {
    "arithmetic": lambda x: x * tf.math.rsqrt(tf.constant(FACTOR) + 0.1),
    "read twice": lambda x: (x + (twice := tf.constant(FACTOR) * 2)) * twice,
    "nothing constant": lambda x: x * x,
    "random": lambda x: x * 0 + tf.random.uniform([3]),
    "large": lambda x: x + tf.reduce_sum(tf.fill([2_000_000], 1.0)),
}
LEFT = {"random": {"RandomUniform"}, "large": {"Fill"}}


@pytest.mark.parametrize("kind", RESULTS)
def test_operators_on_constants_become_their_value(kind):
    with tf.Graph().as_default() as graph:
        tf.identity(RESULTS[kind](tf.compat.v1.placeholder(tf.float32, [3], "x")), name="y")
    folded = fold_constants(graph.as_graph_def())
    constant = {node.name for node in folded.node if node.op == "Const"}
    left = {node.op for node in folded.node if node.input and constant.issuperset(node.input)}
    assert left == LEFT.get(kind, set())
    assert {name for node in folded.node for name in node.input} >= constant, "nothing is kept that nobody reads"
    if kind != "random":
        assert (_run(folded) == _run(graph.as_graph_def())).all()


def _run(definition):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run("y:0", {"x:0": np.float32([1, 2, 3])})
