"""Learning rate schedules as factors on the base rate; pure functions of the step."""

import math
from dataclasses import dataclass

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.vocabulary import SCHEDULES


@dataclass(frozen=True)
class Schedule:
    """All lengths in optimizer steps. `total` counts the warmup; after it the last factor stays."""

    name: str
    total: int
    warmup: int
    step_at: int
    step_factor: float
    epoch: int

    @property
    def constant(self) -> bool:
        return self.name == "constant" and self.warmup == 0

    def factor(self, step: int) -> float:
        """The factor on the learning rate of the update that follows `step` updates."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        match self.name:
            case "constant":
                return 1.0
            case "step":
                return self.step_factor if step >= self.step_at else 1.0
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * progress))
            case "linear":
                return 1.0 - progress
            case "inverse_sqrt":
                # Full rate through the warmup (Vaswani et al. 2017), without one through the first epoch.
                start = max(self.warmup, self.epoch, 1)
                return math.sqrt(start / max(start, step + 1))
        raise TrialError(unknown("schedule", self.name, SCHEDULES))

    def until(self, step: int) -> str:
        """The factors of the updates before `step`, described: equal texts, equal factors.

        A run may be continued by any whose schedule agrees with its own up to where it stopped.
        """
        parts = [f"warmup {self.warmup}"] if self.warmup else []
        if self.name == "step":
            parts += [f"step {self.step_factor!r} at {self.step_at}"] if step > self.step_at else []
        elif self.name != "constant" and step > self.warmup:
            length = self.epoch if self.name == "inverse_sqrt" else self.total
            parts.append(f"{self.name} {length}")
        return ", ".join(parts) or "constant"


def build_schedule(params: Params, total_steps: int, steps_per_epoch: int) -> Schedule:
    """The schedule over `schedule_epochs`, or the whole budget; fractions of epochs round to whole steps."""
    name = str(params["schedule"])
    if name not in SCHEDULES:
        raise TrialError(unknown("schedule", name, SCHEDULES))

    def steps(epochs: str) -> int:
        return round(float(params[epochs]) * steps_per_epoch)

    total = steps("schedule_epochs") or total_steps
    return Schedule(
        name=name,
        total=total,
        warmup=steps("warmup_epochs"),
        step_at=steps("step_epochs") or total // 2,
        step_factor=float(params["step_factor"]),
        epoch=steps_per_epoch,
    )
