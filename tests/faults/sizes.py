"""How large the fault tests are: `HPSEARCH_FAULTS=release` for what the README publishes, else what each change runs."""

import os
from typing import TypeVar

T = TypeVar("T")

RELEASE = os.environ.get("HPSEARCH_FAULTS") == "release"


def sized(each_change: T, release: T) -> T:
    return release if RELEASE else each_change
