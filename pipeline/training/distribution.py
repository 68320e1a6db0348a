"""Train on one device, all local accelerators (mirrored), or several machines (multiworker), with ``tf.distribute``.

Machines find each other through ``TF_CONFIG`` as TensorFlow documents it, for example on the second of two:
``{"cluster": {"worker": ["a:9000", "b:9000"]}, "task": {"type": "worker", "index": 1}}``.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from pipeline.errors import PipelineError, WorkerLostError

NONE, MIRRORED, MULTIWORKER = "none", "mirrored", "multiworker"
KINDS = (NONE, MIRRORED, MULTIWORKER)


def strategy(kind: str) -> tf.distribute.Strategy:
    """Create the strategy of a kind; ``multiworker`` must be created before TensorFlow starts its devices.

    Raises:
        PipelineError: the kind does not exist, or ``TF_CONFIG`` does not describe a cluster.
    """
    if kind == NONE:
        return tf.distribute.get_strategy()
    if kind == MIRRORED:
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if kind != MULTIWORKER:
        raise PipelineError(f"no distribution {kind!r}: choose one of {', '.join(KINDS)}")
    _check_cluster()
    return tf.distribute.MultiWorkerMirroredStrategy()


def _check_cluster() -> None:
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        fine = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
    except (ValueError, KeyError, TypeError):
        fine = False
    if not fine:
        raise PipelineError(
            f"TF_CONFIG must name the workers and which of them this is, got {text!r}; expected for example "
            '{"cluster": {"worker": ["a:9000", "b:9000"]}, "task": {"type": "worker", "index": 0}}'
        )


def shared(used: tf.distribute.Strategy, shares: Sequence[tuple[NDArray[Any], ...]]) -> tuple[Any, ...]:
    """Convert arrays to per-replica values for ``used.run``; ``shares`` has the arrays of each replica, in order."""
    return tuple(
        used.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group][at])  # noqa: B023 - called at once
        )
        for at in range(len(shares[0]))
    )


def is_chief(used: tf.distribute.Strategy) -> bool:
    """Return whether this process writes files: it is the only one, or worker 0."""
    resolver = used.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_id == 0


@contextmanager
def loss_of_workers_explained() -> Iterator[None]:
    """Convert TensorFlow's errors for a lost worker to an error that says what to do.

    Raises:
        WorkerLostError: another worker no longer answers.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise WorkerLostError(
            f"another worker was lost ({str(error).splitlines()[0][:200]}): end all workers and start each again with "
            "the same command; they resume after the last finished epoch"
        ) from error
