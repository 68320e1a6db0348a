"""Run the runtime's command line in a process."""

import subprocess
import sys


def call(*arguments, **options):
    """Run ``python -m runtime``; stdout and stderr are text unless ``subprocess.run``'s options say otherwise."""
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    pipes = {} if "stdout" in options else {"capture_output": True}
    return subprocess.run(command, check=False, **({"text": True} | pipes | options))
