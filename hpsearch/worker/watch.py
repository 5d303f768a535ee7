"""What a command has printed and reported."""

import math
from collections import deque
from dataclasses import dataclass, field

from hpsearch.spec import Objective
from hpsearch.training.history import History
from hpsearch.worker.commandprocess import Stream
from hpsearch.worker.printed import Readings, Report

_KEPT_LINES = 12  # of output that a failure's message ends with
_KEPT_CHARACTERS = 500  # of each of them


@dataclass
class Watch:
    """What has been seen of a command so far."""

    objective: Objective
    readings: Readings
    history: History = field(default_factory=History)
    diverged_at: int | None = None
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    output: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def see(self, stream: Stream, line: str) -> None:
        """A line of output or of the helper's pipe: keep it, and any report that it holds."""
        found = None if stream == "stderr" else self.readings.of_json(line)
        if stream != "reports":
            found = found or self.readings.of_pattern(line)
            (self.errors if stream == "stderr" else self.output).append(line[:_KEPT_CHARACTERS])
        if found is not None:
            self._keep(found)

    def _keep(self, found: Report) -> None:
        for name, value in found.metrics.items():
            self.history.add(name, found.step, value)
        if self.diverged_at is None and not math.isfinite(found.metrics.get(self.objective.metric, 0.0)):
            self.diverged_at = found.step

    @property
    def best(self) -> int | None:
        """Where the objective was best, the first of equals; None where it was never finite."""
        values = self.history.values(self.objective.metric)
        finite = [index for index, value in enumerate(values) if math.isfinite(value)]
        return max(finite, key=lambda index: self.objective.sign * values[index], default=None)

    @property
    def steps(self) -> int:
        return max((max(steps) for steps, _ in self.history.curves.values() if steps), default=0)
