"""Features and opened stages on two devices, written to a file."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from training_run import two_processors


def write(path):
    """Write them to ``path``; for a process whose devices have not started."""
    two_processors()
    sys.path.insert(0, str(Path(__file__).parent / "pipeline"))
    from test_stages import COUNT, known, network, photos

    from pipeline.training import distribution
    from pipeline.training.transfer import stages

    strategy = distribution.strategy(distribution.MIRRORED)
    assert strategy.num_replicas_in_sync == 2
    backbone, (pixels, labels) = replace(network(), strategy=strategy), photos()
    pretrained = backbone.features(pixels)  # before its last stages are trained
    seen = known(backbone, labels)
    opened = stages.StageTrainer(stages.split_network(backbone), 3)
    opened.learn(seen, np.arange(COUNT), stages.Plan(2, 0))
    np.savez(path, features=pretrained, logits=opened.logits(seen.cut[0]))
