"""A small training run in a process of its own: FOLDER and settings as JSON; run by the tests, not collected."""

import json
import sys
from pathlib import Path

from pipeline.quiet import load_tensorflow


def main(folder, settings, distribute="none"):
    load_tensorflow(start_devices=distribute != "multiworker")
    from pipeline import artifacts
    from pipeline.data import samples
    from pipeline.data.dataset import split
    from pipeline.train import Conduct, Settings, train

    training, validation = split(samples.read_calibration(artifacts.REFERENCE_DIR), 100)
    train(training, validation, Path(folder), Settings(**json.loads(settings)), Conduct(distribute=distribute))


if __name__ == "__main__":
    main(*sys.argv[1:])
