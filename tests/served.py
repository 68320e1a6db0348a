"""Serve a folder as the documents say, with ``python -m http.server``."""

import re
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def served(folder):
    """Yield the server's address, which ends with a slash; the port is a free one."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield re.search(r"http://\S+/", server.stdout.readline())[0]
        finally:
            server.terminate()
