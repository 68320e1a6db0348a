"""Work that needs a TensorFlow of its own, in processes forked from one that has imported it and not started it."""

import multiprocessing
import os
from importlib import import_module
from pathlib import Path

from pipeline.system.quiet import load_tensorflow

HERE = Path(__file__).parent
PRELOADED = ("pipeline.artifacts", "pipeline.data.samples", "pipeline.data.dataset", "pipeline.training")

load_tensorflow(start_devices=False, optional_modules=False)
for name in PRELOADED:
    import_module(name)


def start(work, log, *arguments, **environment):
    """Start ``work(*arguments)``, a function of a module of this folder; its stdout and stderr are added to ``log``.

    The process has the present environment and ``environment``, not that of the process it is forked from.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), str(HERE.parent), before]))
    try:
        process = context.Process(target=_run, args=(work, log, arguments, {**os.environ, **environment}))
        process.start()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return process


def _run(work, log, arguments, environment):
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    work(*arguments)


def two_processors():
    """Divide the processor into two devices."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)


def train_here(folder, settings, distribute="none"):
    """Train the notes' network on the calibration images."""
    if distribute == "mirrored":
        two_processors()
    from pipeline import artifacts
    from pipeline.data import samples
    from pipeline.data.dataset import split
    from pipeline.training import RunOptions, Settings, train

    training, validation = split(samples.read_calibration(artifacts.REFERENCE_DIR), 100)
    train(training, validation, Path(folder), Settings(**settings), RunOptions(distribute=distribute))
