"""What the tests of step 1 share: how a number of a check is held against its threshold."""

import math
from collections.abc import Callable

from hpsearch.records import Evidence, Measured, Remedy, Verdict
from hpsearch.vocabulary import VerdictCode

# A test returns a verdict where it fails, else None, and records the numbers that it looked at.
Test = Callable[[Measured, list[Evidence]], Verdict | None]


def noted(
    evidence: list[Evidence], name: str, value: float, threshold: str, ok: bool, text: str = ""
) -> bool:
    """Record one number; True where the test passes. A number that can't be had is no evidence."""
    known = not math.isnan(value)
    evidence.append(
        Evidence(name=name, value=value, threshold=threshold, ok=ok if known else None, text=text)
    )
    return ok or not known


def failed(code: VerdictCode, text: str, remedy: str, confidence: float = 0.95) -> Verdict:
    return Verdict(code=code, text=text, confidence=confidence, remedy=Remedy(text=remedy))
