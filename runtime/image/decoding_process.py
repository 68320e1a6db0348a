"""The child process of ``IsolatedDecoder``: ``python -m runtime.image.decoding_process DEADLINE_S``.

It reads messages from stdin and answers on stdout. A message is a letter, a length in four bytes, and the content.
Requests: ``s`` is the model's spec as JSON (no answer), ``p`` a path, ``b`` an image's bytes. Answers: ``o`` is the
pixels, ``e`` the name and text of an error as JSON.
"""

import io
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from runtime.errors import ImageError, ImageMemoryError
from runtime.image.decode import open_regular
from runtime.image.decoding_child import HEADER_BYTES
from runtime.image.load import load_encoded
from runtime.spec import ModelSpec

SLACK_BYTES = 2**26
"""Bytes that decoding may take beyond the header's estimate: buffers, and free memory that the allocator keeps."""
_STACK_BYTES = 10 * 2**20
_LARGE_BYTES = 2**28
_IDLE_S = 1.0
_ALARM_AFTER_S = 5.0
"""Seconds after the deadline at which the child exits by itself if the parent has not killed it."""


def main() -> None:
    """Answer requests until stdin ends."""
    deadline_s = float(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or service manager sends them to children too
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # out of memory, kill this process first
        file.write("1000")
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    spec, limit = None, _memory_limit()
    while message := _message(requests):
        kind, content = message
        if kind == b"s":
            spec = ModelSpec.from_json(content)
            continue
        assert spec is not None  # noqa: S101 - the parent's first message
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, deadline_s + _ALARM_AFTER_S)
        with _dying_with_its_parent(requests.fileno()):
            kind, content = _answer(content if kind == b"b" else os.fsdecode(content), spec, limit)
        answers.write(kind + len(content).to_bytes(HEADER_BYTES - 1) + content)


@contextmanager
def _dying_with_its_parent(descriptor: int) -> Iterator[None]:
    """End this process when the parent's end of the pipe closes, even while C code runs."""
    try:
        import fcntl

        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO, unhandled, ends the process
    except (ImportError, AttributeError, OSError):
        yield
        return
    if _has_ended(descriptor):  # closed before the signal was enabled
        os._exit(1)
    try:
        yield
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def _has_ended(descriptor: int) -> bool:
    """Return whether the writing end of a pipe is closed."""
    poll = select.poll()
    poll.register(descriptor, 0)  # POLLHUP is always reported
    return bool(poll.poll(0))


def _message(requests: io.RawIOBase) -> tuple[bytes, bytes] | None:
    if not select.select([requests], [], [], _IDLE_S)[0]:
        _give_back_memory()
    head = _exactly(requests, HEADER_BYTES)
    return (head[:1], _exactly(requests, int.from_bytes(head[1:]))) if len(head) == HEADER_BYTES else None


def _exactly(requests: io.RawIOBase, count: int) -> bytes:
    """Read ``count`` bytes; fewer at the end of the stream."""
    content = bytearray()
    while len(content) < count and (part := requests.read(count - len(content))):
        content += part
    return bytes(content)


def _answer(source: bytes | str, spec: ModelSpec, limit: Callable[[int], None]) -> tuple[bytes, bytes]:
    try:
        with ExitStack() as stack:
            encoded = source if isinstance(source, bytes) else stack.enter_context(open_regular(source))
            return b"o", load_encoded(encoded, spec, before=limit).tobytes()
    except ImageError as error:
        return b"e", json.dumps([type(error).__name__, str(error)]).encode()
    except MemoryError:
        return b"e", json.dumps([ImageMemoryError.__name__, "not enough memory"]).encode()


def _give_back_memory() -> None:
    """Return the allocator's free memory to the system."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)


def _memory_limit() -> Callable[[int], None]:
    """Return a function that limits this process's memory to its present size plus a number of bytes (Linux only)."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return lambda _: None
    most = taken + SLACK_BYTES + _STACK_BYTES * (os.cpu_count() or 1)

    def limit(more: int) -> None:
        if more > _LARGE_BYTES:
            _give_back_memory()
        with suppress(OSError, ValueError):  # a service may not be allowed to change its limits
            resource.setrlimit(resource.RLIMIT_DATA, (most + more, resource.RLIM_INFINITY))

    return limit


if __name__ == "__main__":
    main()
