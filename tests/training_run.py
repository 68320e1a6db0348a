"""A small training run in a process of its own, forked from one that has imported TensorFlow and not started it."""

import json
import multiprocessing
import os
import sys
from importlib import import_module
from pathlib import Path

from pipeline.system.quiet import load_tensorflow

HERE = str(Path(__file__).parent)
PRELOADED = ("pipeline.artifacts", "pipeline.data.samples", "pipeline.data.dataset", "pipeline.training")

load_tensorflow(start_devices=False)
for name in PRELOADED:
    import_module(name)


def start(folder, settings, distribute, log, **environment):
    """Start a run that writes stdout and stderr to ``log``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, str(Path(HERE).parent), before]))
    try:
        process = context.Process(target=_run, args=(folder, settings, distribute, log, environment))
        process.start()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return process


def _run(folder, settings, distribute, log, environment):
    os.environ |= environment
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    train_here(folder, settings, distribute)


def train_here(folder, settings, distribute="none"):
    """Train the notes' network on the calibration images."""
    if distribute == "mirrored":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    from pipeline import artifacts
    from pipeline.data import samples
    from pipeline.data.dataset import split
    from pipeline.training import Conduct, Settings, train

    training, validation = split(samples.read_calibration(artifacts.REFERENCE_DIR), 100)
    train(training, validation, Path(folder), Settings(**settings), Conduct(distribute=distribute))


if __name__ == "__main__":
    train_here(sys.argv[1], json.loads(sys.argv[2]))
