"""A trial that learns nothing because its rate is too low, and what one asks about it."""

from typing import Any

from hpsearch.diagnosis import TrialDiagnosis
from hpsearch.records import (
    Outcome,
    Trial,
)
from hpsearch.service import diagnoses, studies, trials
from hpsearch.wire import Lease
from tests.recipe.world import plan_of, threshold

EPOCHS = 12
LAW = threshold(0.01)


def digits(lease: Lease) -> Outcome:
    """What a worker reports where rates under 0.01 learn nothing."""
    return LAW(plan_of(lease))


def slow_grid(make: Any, **changes: Any) -> Any:
    """Two rates, the first of which learns nothing."""
    fixed = {"epochs": EPOCHS}
    space = {"learning_rate": [1e-4, 1e-1]}
    return make.grid("slow", **{"space": space, "grid": {}, "fixed": fixed, **changes})


def trained(fleet: Any, spec: Any) -> Trial:
    """The first trial of a study that has been trained."""
    fleet.study(spec)
    fleet.train_all(fleet.worker(), digits)
    first: Trial = fleet.trials(spec.name)[0]
    return first


def ask(fleet: Any, trial: Trial) -> TrialDiagnosis:
    return diagnoses.diagnose(fleet.db, trial.id, now=fleet.clock.now)


def told(fleet: Any, key: str) -> tuple[Any, ...]:
    """All that a study says of itself."""
    return (
        studies.get(fleet.db, key),
        studies.best(fleet.db, key, 10),
        studies.stages(fleet.db, key),
        trials.page(fleet.db, key),
    )
