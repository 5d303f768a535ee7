"""The search space: named axes, their exact grid points and their draws.

An axis is a range (`low`, `high`, optionally `log` or `step`) of floats or ints, or a list of `choices`.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

if TYPE_CHECKING:
    import numpy as np

# Bool and int come first and strictly: `true` must stay a bool and 3 an int; only then is a number a float.
ParamValue = StrictBool | StrictInt | float | StrictStr
Params = dict[str, ParamValue]

# Enough digits that two neighbouring grid points never collide, few enough that 10**-3 prints as 0.001.
SIGNIFICANT_DIGITS = 12
MAX_CHOICES = 1_000


def canonical(value: float) -> float:
    """The shortest decimal within 12 significant digits: 0.30000000000000004 -> 0.3."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def parse_axis(raw: Any) -> Any:
    """A plain list is short for `{choices: [...]}`."""
    return {"choices": raw} if isinstance(raw, list | tuple) else raw


def _listed(raw: Any) -> list[Any] | tuple[Any, ...]:
    return raw if isinstance(raw, list | tuple) else ()


class Axis(BaseModel):
    """One named dimension of the space. Bounds are closed: both ends can be drawn and are on the grid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["float", "int", "categorical"] = "float"
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(default=None, gt=0)
    choices: tuple[ParamValue, ...] | None = Field(default=None, max_length=MAX_CHOICES)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, raw: Any) -> Any:
        raw = parse_axis(raw)
        # Before each of a hundred thousand items is found wrong in four ways.
        if isinstance(raw, Mapping) and len(_listed(raw.get("choices"))) > MAX_CHOICES:
            raise ValueError(f"more than {MAX_CHOICES:,} choices")
        if isinstance(raw, Mapping) and raw.get("choices") is not None and "type" not in raw:
            return {**raw, "type": "categorical"}
        return raw

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.type == "categorical":
            self._check_choices()
        else:
            self._check_range()
        return self

    def _check_choices(self) -> None:
        if not self.choices:
            raise ValueError("needs at least one choice")
        if any(isinstance(c, float) and not math.isfinite(c) for c in self.choices):
            raise ValueError("choices must be finite")
        keys = [(isinstance(c, bool), c) for c in self.choices]
        if len(set(keys)) != len(keys):
            raise ValueError("a choice stands twice")
        if self.low is not None or self.high is not None or self.log or self.step is not None:
            raise ValueError("takes either choices or a range, not both")

    def _check_range(self) -> None:
        if self.choices is not None:
            raise ValueError(f"choices do not go with type {self.type}")
        if self.low is None or self.high is None:
            raise ValueError("needs low and high, or a list of choices")
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("low and high must be finite")
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a log axis can't reach zero: low ({self.low:g}) must be above 0")
        if self.log and self.step is not None:
            raise ValueError("step and log exclude each other")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("an int axis needs whole numbers for low and high")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"step ({self.step:g}) is larger than the range")

    @property
    def bounds(self) -> tuple[float, float]:
        """(low, high); for choices that are all numbers, their hull. Raises ValueError for other choices."""
        if self.choices is not None:
            numbers = [
                float(c) for c in self.choices if isinstance(c, int | float) and not isinstance(c, bool)
            ]
            if len(numbers) != len(self.choices):
                raise ValueError("these choices have no order")
            return min(numbers), max(numbers)
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def contains(self, value: ParamValue) -> bool:
        """Whether `value` can be drawn from this axis (grid steps aside)."""
        if self.choices is not None:
            return any(type(c) is type(value) and c == value for c in self.choices) or (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and any(
                    c == value for c in self.choices if isinstance(c, int | float) and not isinstance(c, bool)
                )
            )
        if isinstance(value, bool | str):
            return False
        low, high = self.bounds
        return low <= value <= high and (self.type == "float" or float(value).is_integer())

    def grid(self, count: int | None = None) -> list[ParamValue]:
        """`count` points with exact end points, log-spaced where `log`; all choices, or all steps.

        An int axis may hold fewer distinct points than asked; they are then fewer, never repeated.
        Raises ValueError where a continuous axis is not told how many.
        """
        if self.choices is not None:
            return list(self.choices)
        low, high = self.bounds
        if self.step is not None:
            steps = math.floor((high - low) / self.step + 1e-9)
            return [self._typed(canonical(low + i * self.step)) for i in range(steps + 1)]
        if count is None:
            raise ValueError("needs a number of grid points")
        if count == 1:
            return [self.middle]
        inner = [self._between(i / (count - 1)) for i in range(1, count - 1)]
        points = [self._typed(low), *inner, self._typed(high)]
        return list(dict.fromkeys(points)) if self.type == "int" else points

    def draw(self, rng: "np.random.Generator") -> ParamValue:
        """One point, uniform on the axis (on its logarithm where `log`)."""
        if self.choices is not None:
            return self.choices[int(rng.integers(len(self.choices)))]
        low, high = self.bounds
        if self.step is not None:
            points = self.grid()
            return points[int(rng.integers(len(points)))]
        if self.type == "int" and not self.log:
            return int(rng.integers(int(low), int(high), endpoint=True))
        if self.type == "int":
            # Each whole number gets the share of the log axis that rounds to it (as Optuna's IntDistribution).
            edge = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(edge), int(low)), int(high))
        fraction = float(rng.uniform())
        return min(max(self._position(fraction), low), high)

    @property
    def middle(self) -> ParamValue:
        """The middle of the axis: geometric where `log`; of choices, the middle one."""
        if self.choices is not None:
            return self.choices[len(self.choices) // 2]
        return self._between(0.5)

    def _position(self, fraction: float) -> float:
        low, high = self.bounds
        if self.log:
            return math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
        return low + fraction * (high - low)

    def _between(self, fraction: float) -> ParamValue:
        return self._typed(canonical(self._position(fraction)))

    def _typed(self, value: float) -> ParamValue:
        return round(value) if self.type == "int" else float(value)


Space = dict[str, Annotated[Axis, Field()]]


def grid_size(space: Mapping[str, Axis], counts: Mapping[str, int]) -> int:
    """How many points `grid_points` yields, without making them."""
    return math.prod(_axis_size(axis, counts.get(name)) for name, axis in space.items())


def _axis_size(axis: Axis, count: int | None) -> int:
    """Computed, not listed, wherever it can be: a spec is read at every lease, and 10**9 points are refused."""
    if axis.choices is not None:
        return len(axis.choices)
    low, high = axis.bounds
    if axis.step is not None:
        return math.floor((high - low) / axis.step + 1e-9) + 1
    if count is not None and (axis.type == "float" or count > 100_000):
        return count
    return len(axis.grid(count))


def grid_points(space: Mapping[str, Axis], counts: Mapping[str, int]) -> Iterator[Params]:
    """The full grid in the order of a nested loop: the last axis moves fastest."""
    names = list(space)
    axes = [space[name].grid(counts.get(name)) for name in names]
    for values in itertools.product(*axes):
        yield dict(zip(names, values, strict=True))


def random_points(space: Mapping[str, Axis], count: int, rng: "np.random.Generator") -> Iterator[Params]:
    """`count` independent draws; axes are drawn in the space's order, so one seed gives one list."""
    for _ in range(count):
        yield {name: axis.draw(rng) for name, axis in space.items()}
