"""Where a figure was measured."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Cores, processor and Python."""
    with Path("/proc/cpuinfo").open() as file:
        model = next(
            (line.partition(":")[2].strip() for line in file if line.startswith("model name")),
            platform.machine(),
        )
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"
