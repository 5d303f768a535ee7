"""What a run yields: its curves, its measurements and how it ended."""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import FailFast, Field, model_validator

from hpsearch.records.record import Number, Record
from hpsearch.records.states import FailureReason


class Points(Record):
    """One metric's stretch of a curve: `values[i]` was measured after `steps[i]` optimizer steps."""

    steps: Annotated[tuple[int, ...], FailFast()]
    values: Annotated[tuple[Number, ...], FailFast()]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.steps) != len(self.values):
            raise ValueError(f"{len(self.steps)} steps do not go with {len(self.values)} values")
        return self


Series = dict[str, Points]


class Measured:
    """What was measured of a run, by name. Mixed into records with `measurements`."""

    if TYPE_CHECKING:
        measurements: dict[str, Number | list[Number]]

    def measurement(self, name: str, default: float = math.nan) -> float:
        """A scalar measurement, or `default` where it was not taken."""
        value = self.measurements.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def measurement_list(self, name: str) -> list[float]:
        """A list measurement; empty where it was not taken."""
        value = self.measurements.get(name, [])
        return [float(v) for v in value] if isinstance(value, list) else []


class Outcome(Record, Measured):
    """How a run ended and what it found.

    `value`: the objective at the best snapshot. `metrics`: last value of each metric, `best_<name>` at the
    best snapshot, `test_<name>` where the test set was opened. `measurements`: numbers and short lists for
    the recipe (a check's tests, `curves.features` of a training curve). `steps`: optimizer steps trained by
    this run, continuation excluded. A diverged run keeps its last finite loss in `metrics["loss"]` and the
    step in `measurements["diverged_at"]`.
    """

    state: Literal["completed", "diverged", "pruned", "failed", "released"]
    reason: FailureReason | None = None
    message: str = Field(default="", max_length=65_536)
    value: Number | None = None
    metrics: dict[str, Number] = {}
    measurements: dict[str, Number | list[Number]] = {}
    steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _reason_with_failure(self) -> Self:
        if (self.state == "failed") != (self.reason is not None):
            raise ValueError("a failed outcome has a reason, the others have none")
        return self
