"""What a run's end means for its trial and its study."""

import math
from typing import Any

import pytest

from hpsearch.records import FailureReason, Outcome, TrialState
from hpsearch.service import studies, trials


def ended(fleet: Any, outcome: Outcome) -> Any:
    """The trial whose run ended so."""
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert fleet.report(worker.id, lease.run_id, outcome).status == "ok"
    return trials.get(fleet.db, lease.trial_id)


def test_a_released_run_costs_its_trial_one_preemption_and_nothing_else(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    trial = ended(fleet, Outcome(state="released"))
    assert trial.state is TrialState.WAITING
    assert (trial.failures, trial.rescues, trial.preemptions) == (0, 0, 1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_completed_run_whose_objective_is_no_number_has_diverged(
    fleet: Any, make: Any, value: float
) -> None:
    fleet.study(make.grid())
    assert ended(fleet, make.done(value)).state is TrialState.DIVERGED
    assert studies.get(fleet.db, "grid").best_value is None


def test_a_completed_run_that_never_measured_the_objective_has_failed_and_says_what_it_measured(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid(objective={"metric": "val_loss", "direction": "minimize"}))
    trial = ended(fleet, Outcome(state="completed", value=None, metrics={"loss": 0.1, "accuracy": 0.9}))
    assert (trial.state, trial.reason) == (TrialState.FAILED, FailureReason.ERROR)
    assert trial.message == "the objective 'val_loss' was never measured; the run reported accuracy, loss"


@pytest.mark.parametrize("state", ["diverged", "pruned"])
def test_a_run_that_ended_early_needs_no_objective(fleet: Any, make: Any, state: str) -> None:
    fleet.study(make.grid())
    assert ended(fleet, Outcome(state=state, value=None)).state == state  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("direction", "best"), [("maximize", [0.5, 0.7, 0.7, 0.7]), ("minimize", [0.5, 0.5, 0.4, 0.4])]
)
def test_the_studys_best_value_follows_only_what_is_better(
    fleet: Any, make: Any, direction: str, best: list[float]
) -> None:
    fleet.study(make.grid(objective={"metric": "val_loss", "direction": direction}))
    seen = []
    for value in (0.5, 0.7, 0.4, 0.6):
        ended(fleet, make.done(value))
        seen.append(studies.get(fleet.db, "grid").best_value)
    assert seen == best
