"""Metrics in what a command prints: one JSON line a report, or lines that match the study's pattern."""

import json
import math
import re
from dataclasses import dataclass, field

MAX_LINE = 4_096  # characters of a line that a pattern sees: its cost must have a bound
MAX_JSON = 65_536
MAX_METRICS = 200
MAX_STEP = 2**53
METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,99}\Z")  # as an objective's name


@dataclass(frozen=True)
class Report:
    step: int
    metrics: dict[str, float]


@dataclass
class Readings:
    """Turns lines into reports. Reports without a step are counted: 1, 2, 3 ..."""

    pattern: re.Pattern[str] | None = None
    _count: int = 0
    _names: set[str] = field(default_factory=set)

    def of_json(self, line: str) -> Report | None:
        """The report in a line that is one JSON object with at least one number."""
        line = line.strip()
        if not (line.startswith("{") and line.endswith("}")) or len(line) > MAX_JSON:
            return None
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return self._report(raw.pop("step", None), raw)

    def of_pattern(self, line: str) -> Report | None:
        """The report in a line that the pattern matches; only its first 4,096 characters are looked at."""
        if self.pattern is None or (match := self.pattern.search(line[:MAX_LINE])) is None:
            return None
        groups = {name: text for name, text in match.groupdict().items() if text is not None}
        return self._report(groups.pop("step", None), groups)

    def _report(self, step: object, raw: dict[str, object]) -> Report | None:
        found = {name: number for name, value in raw.items() if (number := number_of(value)) is not None}
        metrics = {name: number for name, number in found.items() if self._known(name)}
        if not metrics:
            return None
        self._count += 1
        return Report(step=_step_of(step, self._count), metrics=metrics)

    def _known(self, name: str) -> bool:
        if name not in self._names and METRIC.match(name) and len(self._names) < MAX_METRICS:
            self._names.add(name)
        return name in self._names


def number_of(value: object) -> float | None:
    """A metric's value, or None where it is none. `"NaN"` is how strict JSON says NaN; null says that
    nothing was measured.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)  # which reads "NaN" and "-Infinity" too
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf
    except ValueError:
        return None


def _step_of(raw: object, count: int) -> int:
    number = number_of(raw)
    if number is None or not math.isfinite(number) or not 0 <= number <= MAX_STEP:
        return count
    return int(number)
