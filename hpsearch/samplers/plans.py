"""Points become trial plans: budget and replicates as the study file says."""

from collections.abc import Iterable, Iterator

from hpsearch.command import CommandTask
from hpsearch.records import Budget, Program, TrialPlan
from hpsearch.space import Params
from hpsearch.spec import StudySpec

TRAIN = Program(kind="train")


def plans_of(spec: StudySpec, points: Iterable[Params]) -> Iterator[TrialPlan]:
    """One plan per point and replicate; number // replicates is the point's place in the list."""
    # What `epochs` means to a command is its own affair.
    closed = isinstance(spec.task, CommandTask)
    default = None if closed else Budget(epochs=float(spec.hyperparameters()["epochs"]))
    for params in points:
        budget = Budget(epochs=float(params["epochs"])) if "epochs" in params and not closed else default
        for replicate in range(spec.replicates):
            yield TrialPlan(program=TRAIN, params=params, replicate=replicate, budget=budget)
