"""A small training run in a process of its own: folder, settings as JSON, distribution; run by tests, not collected."""

import json
import sys
from pathlib import Path

from pipeline.system.quiet import load_tensorflow


def main(folder, settings, distribute="none"):
    load_tensorflow(start_devices=distribute == "none")
    if distribute == "mirrored":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    from pipeline import artifacts
    from pipeline.data import samples
    from pipeline.data.dataset import split
    from pipeline.training import Conduct, Settings, train

    training, validation = split(samples.read_calibration(artifacts.REFERENCE_DIR), 100)
    train(training, validation, Path(folder), Settings(**json.loads(settings)), Conduct(distribute=distribute))


if __name__ == "__main__":
    main(*sys.argv[1:])
