"""What a stage or a diagnosis concludes, and the numbers behind it."""

from typing import Any

from pydantic import Field

from hpsearch.records.record import Number, Record
from hpsearch.vocabulary import VerdictCode


class Evidence(Record):
    """One number behind a verdict. `threshold` reads as a condition the number was held against: `<= 1.5`."""

    name: str
    value: Number | str | None
    threshold: str = ""
    ok: bool | None = None  # None: context, not a test
    text: str = ""


class Remedy(Record):
    """What to do, in plain words, and the hyperparameters it changes (a single value or the next grid)."""

    text: str
    changes: dict[str, list[float | int | str | bool]] = {}


class Verdict(Record):
    """What a stage or diagnosis concludes. `probe` is the counterfactual pair that proved it, if one ran."""

    code: VerdictCode
    text: str
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    segment: tuple[int, int] | None = None  # steps of the curve it speaks of
    probe: dict[str, Any] | None = None
    alternatives: tuple[VerdictCode, ...] = ()
