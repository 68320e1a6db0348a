"""The runtime's command line, called as a process."""

import subprocess
import sys


def call(*arguments, **options):
    """What ``python -m runtime`` gives: stdout and stderr as text, unless options of ``subprocess.run`` say else."""
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    pipes = {} if "stdout" in options else {"capture_output": True}
    return subprocess.run(command, check=False, **({"text": True} | pipes | options))
