"""The process from which ``called.py`` forks commands; its stdin is the socket on which it is asked.

A request is the length of a JSON object (4 bytes, with the descriptors for stdin, stdout and stderr), then the object.
The answer is the number of the process, then its exit status as ``subprocess`` states it, 4 bytes each.
"""

import json
import os
import runpy
import socket
import sys
from importlib import import_module
from pathlib import Path

IMPORTED = ("numpy", "onnxruntime", "PIL.Image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "runtime.cli")
COMMANDS = ("classify", "stream", "inspect", "verify", "verify_bundle")


def main():
    """Serve requests; return in the processes that are to run a command."""
    for name in (*IMPORTED, *(f"runtime.commands.{command}" for command in COMMANDS)):
        import_module(name)
    connection = socket.socket(fileno=os.dup(0))
    while True:
        length, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
        if not length:
            os._exit(0)
        request = json.loads(connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        process = os.fork()
        if process == 0:
            connection.close()
            _become(request, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(process.to_bytes(4, "big"))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        connection.sendall(status.to_bytes(4, "big", signed=True))


def _become(request, descriptors):
    """Take over streams, folder, environment and arguments of a command."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115 - as Python does at its start
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["arguments"]


if __name__ == "__main__":
    sys.argv[0] = str(Path(__file__))
    main()
    runpy.run_module("runtime", run_name="__main__", alter_sys=True)
