"""Run the runtime's command line in a process that is forked from one which has imported all that commands import.

A process that starts Python and imports NumPy, Pillow and ONNX Runtime takes ten times as long. Tests about what a
start imports, and those that change Python's own variables, start Python.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import runtime

SERVER = Path(__file__).with_name("forking.py")
ENVIRONMENT = dict(os.environ)
"""Of the tests' start: the process that forks must not begin with what the first test that needs it has changed."""


def call(*arguments, cwd=None, env=None, timeout=120, **options):
    """Run ``python -m runtime``; stdout and stderr are text unless ``subprocess.run``'s options say otherwise."""
    arguments = [str(argument) for argument in arguments]
    if env is not None:
        command = [sys.executable, "-m", "runtime", *arguments]
        pipes = {} if "stdout" in options else {"capture_output": True}
        return subprocess.run(
            command, cwd=cwd, env=env, timeout=timeout, check=False, **({"text": True} | pipes | options)
        )
    return _forked(arguments, str(cwd or Path.cwd()), timeout, **options)


def _forked(arguments, cwd, timeout, *, input=None, text=True, stdout=None, stderr=None):  # noqa: A002, PLR0913 - subprocess's
    """As ``subprocess.run`` with ``capture_output``; ``stdout`` is a file, or a descriptor, that gets it instead."""
    assert stderr in (None, subprocess.PIPE)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answered, tempfile.TemporaryFile() as said:
        given.write(input.encode() if isinstance(input, str) else input or b"")
        given.seek(0)
        streams = [given, answered if stdout is None else stdout, said]
        status = _run({"arguments": arguments, "cwd": cwd, "environment": dict(os.environ)}, streams, timeout)
        answers = []
        for file in (answered, said):
            file.seek(0)
            answers.append(file.read())
    shown = [content.decode() if text else content for content in answers]
    return subprocess.CompletedProcess(arguments, status, *shown)


@cache
def _server():
    """A socket to the process that forks; it ends as soon as this process has closed the socket."""
    ours, theirs = socket.socketpair()
    path = os.pathsep.join([str(Path(runtime.__file__).parents[1]), ENVIRONMENT.get("PYTHONPATH", "")])
    with theirs:
        process = subprocess.Popen([sys.executable, SERVER], stdin=theirs, env=ENVIRONMENT | {"PYTHONPATH": path})
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _run(request, streams, timeout):
    server = _server()
    descriptors = [stream if isinstance(stream, int) else stream.fileno() for stream in streams]
    content = json.dumps(request).encode()
    socket.send_fds(server, [len(content).to_bytes(4, "big")], descriptors)
    server.sendall(content)
    process = int.from_bytes(server.recv(4), "big")
    server.settimeout(timeout)
    try:
        return int.from_bytes(server.recv(4), "big", signed=True)
    except TimeoutError:
        os.kill(process, 9)
        server.settimeout(None)
        server.recv(4)
        raise subprocess.TimeoutExpired(request["arguments"], timeout) from None
    finally:
        server.settimeout(None)
