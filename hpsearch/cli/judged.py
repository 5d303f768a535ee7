"""What `hpsearch diagnose` has found, on its way to the screen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.records import Series


@dataclass(frozen=True)
class Judged:
    """`document`: the answer in the interface's shape. `subject`: what was judged. `curves`: what it shows."""

    subject: str
    document: Mapping[str, Any]
    curves: Series = field(default_factory=dict)
