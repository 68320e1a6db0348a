"""One processor, all local accelerators (mirrored), or several machines (multiworker), through ``tf.distribute``.

Machines find each other by ``TF_CONFIG`` as TensorFlow documents it, for example on the second of two:
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
    """The strategy of that kind; ``multiworker`` must be asked for before TensorFlow has started its devices.

    Raises:
        PipelineError: no such kind, or ``TF_CONFIG`` names no cluster.
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
    """Arrays for ``used.run``: of each replica its own, ``shares`` being in the order of the replicas."""
    return tuple(
        used.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group][at])  # noqa: B023 - called at once
        )
        for at in range(len(shares[0]))
    )


def is_chief(used: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: the only one there is, or worker 0."""
    resolver = used.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_id == 0


@contextmanager
def loss_of_workers_explained() -> Iterator[None]:
    """Turn what TensorFlow raises when another machine is gone into an error that says what to do.

    Raises:
        WorkerLostError: another worker is gone.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise WorkerLostError(
            f"another worker was lost ({str(error).splitlines()[0][:200]}): end all workers and start each again with "
            "the same command; they go on after the last finished epoch"
        ) from error
