"""What a benchmark ran on."""

import os
from pathlib import Path
from typing import Any

from runtime.system.machine import examine_machine


def describe_machine() -> dict[str, Any]:
    """Processor, architecture and number of cores, as benchmarks note them."""
    machine = examine_machine(Path("/"))
    return {
        "cpu": machine.get("processor", "unknown"),
        "architecture": machine["architecture"],
        "cores": os.cpu_count(),
    }
