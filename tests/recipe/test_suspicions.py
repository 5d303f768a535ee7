"""What a run's numbers speak for, before any probe."""

import math

import pytest

from hpsearch.recipe.case import Case, Result
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.recipe.suspicions import suspicions
from hpsearch.records import Outcome
from hpsearch.vocabulary import VerdictCode, hyperparameters
from tests.recipe.world import check_outcome


def suspected(factor: float, **values: float | str) -> Suspicion | None:
    """The suspicion of a loss that is `factor` times a common one."""
    known = hyperparameters({}, {"learning_rate": 0.02, **values})
    run = Result("completed", Outcome(state="completed"))
    case = Case(known, 20.0, "accuracy", True, check_outcome(loss_factor=factor), run)
    return next((s for s in suspicions(case) if s.code is VerdictCode.LOSS_BUG), None)


def test_a_forgotten_factor_is_undone_by_the_rate_and_by_what_stands_beside_the_gradient() -> None:
    found = suspected(1e-3, momentum=0.9, weight_decay=1e-4, clip_norm=2.0)
    assert found is not None
    [change] = found.tries
    assert change == {
        "learning_rate": pytest.approx(20.0),
        "weight_decay": pytest.approx(1e-7),
        "clip_norm": pytest.approx(2e-3),
    }


@pytest.mark.parametrize("factor", [1.0, 0.5, 10.0, -1.0, math.nan])
def test_half_a_loss_is_somebodys_choice(factor: float) -> None:
    assert suspected(factor) is None


def test_adam_does_not_see_a_factor() -> None:
    assert suspected(1e-3, optimizer="adam") is None
