"""``DecodingChild``: the parent's side of a child process that decodes images."""

import json
import os
import select
import subprocess
import time
from contextlib import suppress

import numpy as np

from runtime import errors
from runtime.errors import DecodingStoppedError, ImageDecodeError, ImageMemoryError
from runtime.image.load import Pixels
from runtime.spec import ModelSpec
from runtime.system import child

STOPPING_S = 1.0
"""Seconds that an image may still take after the process was asked to stop."""

HEADER_BYTES = 5
"""Size of a message's header: one byte for its kind, four for its length."""

_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    # Otherwise the C library returns memory to the system after every image and requests it again for the next one.
    "MALLOC_TRIM_THRESHOLD_": str(2**27),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}


class DecodingChild:
    """A child process that decodes one image at a time.

    Args:
        deadline_s: time limit per image in seconds.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s, self._stopped = deadline_s, False
        self._spec: ModelSpec | None = None
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [*child.interpreter(), "-m", "runtime.image.decoding_process", str(deadline_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child.environment() | _SETTINGS,
            bufsize=0,
        )

    @property
    def is_usable(self) -> bool:
        """Whether it can decode another image."""
        return not self._stopped and self._process.poll() is None

    def stop(self) -> None:
        """Kill the process while another thread waits for its answer."""
        self._stopped = True
        self._process.kill()

    def kill(self) -> None:
        """Kill the process if it still runs, and wait for its end."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def decode(self, source: bytes | os.PathLike[str] | str, spec: ModelSpec, stop_fd: int | None) -> Pixels:
        """Decode an image in the child process; see ``IsolatedDecoder``."""
        try:
            message = self._ask(source, spec, stop_fd)
        except BaseException:
            self.kill()
            raise
        if message is None:
            self.kill()
            raise self._death()
        kind, content = message
        if kind == b"o":
            return np.frombuffer(content, np.uint8).reshape(spec.shape).copy()
        name, text = json.loads(content)
        raise getattr(errors, name)(text)

    def _ask(
        self, source: bytes | os.PathLike[str] | str, spec: ModelSpec, stop_fd: int | None
    ) -> tuple[bytes, bytes] | None:
        """Send a request and receive the answer (kind, content); ``None`` if the child died."""
        try:
            if self._spec is not spec:
                self._send(b"s", spec.to_json().encode())
                self._spec = spec
            if isinstance(source, bytes):
                self._send(b"b", source)
            else:
                self._send(b"p", os.fsencode(source))
        except BrokenPipeError:
            return None
        self._wait(stop_fd)
        head = self._receive(HEADER_BYTES)
        content = self._receive(int.from_bytes(head[1:])) if len(head) == HEADER_BYTES else b""
        return (head[:1], content) if len(head) == HEADER_BYTES and len(content) == int.from_bytes(head[1:]) else None

    def _wait(self, stop_fd: int | None) -> None:
        """Wait until the answer begins or the child is dead.

        Raises:
            ImageDecodeError: the time limit has passed.
            DecodingStoppedError: the process was asked to stop, and ``STOPPING_S`` have passed.
        """
        assert self._process.stdout  # noqa: S101 - a pipe
        answer, end = self._process.stdout.fileno(), time.monotonic() + self._deadline_s
        is_stopping, wanted = False, [answer] if stop_fd is None else [answer, stop_fd]
        while True:
            ready = select.select(wanted, [], [], max(0.0, end - time.monotonic()))[0]
            if answer in ready:
                return
            if not ready and is_stopping:
                raise DecodingStoppedError("stopped while an image was being decoded")
            if not ready:
                raise ImageDecodeError(
                    f"takes longer to decode than {self._deadline_s:g} s: make it smaller, or save it as JPEG"
                )
            is_stopping, wanted, end = True, [answer], min(end, time.monotonic() + STOPPING_S)

    def _send(self, kind: bytes, content: bytes) -> None:
        assert self._process.stdin  # noqa: S101 - a pipe
        left = memoryview(kind + len(content).to_bytes(HEADER_BYTES - 1) + content)
        while left:
            left = left[self._process.stdin.write(left) :]

    def _receive(self, count: int) -> bytes:
        assert self._process.stdout  # noqa: S101 - a pipe
        content = b""
        while len(content) < count and (part := self._process.stdout.read(count - len(content))):
            content += part
        return content

    def _death(self) -> Exception:
        if self._stopped:
            return DecodingStoppedError("stopped while an image was being decoded")
        if self._process.returncode == -9:
            return ImageMemoryError("its decoder was killed, most likely because memory ran out")
        return ImageDecodeError(
            f"not an image that can be decoded whole (its decoder died: {self._process.returncode})"
        )
