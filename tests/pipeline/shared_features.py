"""Features and opened stages on two devices, written to a file; run by tests in a process of its own, not collected."""

import sys

import numpy as np

from pipeline.system.quiet import load_tensorflow


def main(path):
    load_tensorflow(start_devices=False)
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    from dataclasses import replace

    from test_stages import COUNT, known, network, photos

    from pipeline.training import distribution
    from pipeline.training.transfer import stages

    strategy = distribution.strategy(distribution.MIRRORED)
    assert strategy.num_replicas_in_sync == 2
    backbone, (pixels, labels) = replace(network(), strategy=strategy), photos()
    seen = known(backbone, labels)
    opened = stages.StageTrainer(stages.split_network(backbone), 3)
    opened.learn(seen, np.arange(COUNT), stages.Plan(2, 0))
    np.savez(path, features=backbone.features(pixels), logits=opened.logits(seen.cut[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
