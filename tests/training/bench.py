"""Runs assignments on the CPU and keeps what they report; assignments in one line."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hpsearch.records import Budget, Outcome, Points, Program, Series
from hpsearch.spec import Objective
from hpsearch.tasks import NamedTask
from hpsearch.training.program import Place, run_program
from hpsearch.wire import Assignment


def never() -> bool:
    return False


def digits(
    *,
    steps: int | None = None,
    epochs: float | None = None,
    model: str = "mlp",
    objective: Objective | None = None,
    seed: int = 0,
    replicate: int = 0,
    program: Program | None = None,
    **params: Any,
) -> Assignment:
    """Train (or check) a model on digits."""
    budget = None if steps is None and epochs is None else Budget(steps=steps, epochs=epochs)
    return Assignment(
        task=NamedTask(dataset="digits", model=model),
        params=params,
        program=program or Program(kind="train"),
        budget=budget,
        objective=objective or Objective(),
        seed=seed,
        replicate=replicate,
    )


class Bench:
    """Runs assignments and keeps the curves they report."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reports: list[Series] = []

    def run(
        self, assignment: Assignment, stop: Callable[[], bool] = never, **changes: Any
    ) -> tuple[Outcome, dict[str, Points]]:
        self.reports = []
        outcome = run_program(assignment, replace(self.place, **changes), self.reports.append, stop)
        return outcome, joined(self.reports)


def joined(reports: list[Series]) -> dict[str, Points]:
    """Stretches of curves, put end to end."""
    names = {name for series in reports for name in series}
    return {
        name: Points(
            steps=tuple(s for series in reports if name in series for s in series[name].steps),
            values=tuple(v for series in reports if name in series for v in series[name].values),
        )
        for name in names
    }


class StopAt:
    """A `stop` that says yes at its n-th question; the trainer asks every 10 steps and at epoch ends."""

    def __init__(self, question: int) -> None:
        self.left = question

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0
