"""What a run's numbers speak for, before any probe."""

import math

import pytest

from hpsearch.recipe.case import Case, Result
from hpsearch.recipe.findings import without_proof
from hpsearch.recipe.rates import rate_too_low
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.recipe.suspicions import suspicions
from hpsearch.recipe.usual_suspicions import usual
from hpsearch.records import Outcome
from hpsearch.vocabulary import VerdictCode, hyperparameters
from tests.recipe.world import check_outcome, curves


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


def case_of(losses: list[float], **values: float | str) -> Case:
    """A run of these training losses, an epoch each, right in a share that falls with them."""
    known, shares = hyperparameters({}, dict(values)), [1.03 - loss / 2.5 for loss in losses]
    shown = curves(train_loss=losses, val_loss=losses, train=shares, val=shares)
    falls = 0.01 if losses[-1] < losses[-2] else 0.9
    measured = {**shown, "evaluations": float(len(losses)), "train_trend_p": falls}
    run = Result("completed", Outcome(state="completed", measurements=measured))
    return Case(known, len(losses), "accuracy", True, check_outcome(), run, sizing={"extra_capacity": 4})


def usual_codes(losses: list[float], **values: float | str) -> list[VerdictCode]:
    """What such a run is suspected of beside its own numbers."""
    case = case_of(losses, **values)
    return [found.code for raise_ in usual(case) if (found := raise_(case)) is not None]


def test_a_run_of_few_epochs_says_nothing_of_the_size_while_its_loss_falls() -> None:
    assert VerdictCode.UNDERFIT not in usual_codes([1.9, 1.6, 1.4, 1.3])
    assert VerdictCode.UNDERFIT in usual_codes([1.9, 1.3, 1.3, 1.3])
    assert VerdictCode.UNDERFIT in usual_codes([1.9, 1.6, *[1.4] * 10])


@pytest.mark.parametrize("losses", [[1.3] * 8, [2.3] * 8])
def test_a_batch_of_two_is_suspected_whether_or_not_the_run_learned(losses: list[float]) -> None:
    assert VerdictCode.NOISY_EVAL in usual_codes(losses, batch_size=2)
    assert VerdictCode.NOISY_EVAL not in usual_codes(losses, batch_size=8)


def test_a_batch_of_two_is_looked_at_first_where_nothing_was_learned() -> None:
    assert usual_codes([2.5] * 8, batch_size=2)[0] is VerdictCode.NOISY_EVAL
    assert usual_codes([1.3] * 8, batch_size=2)[0] is VerdictCode.LR_TOO_HIGH


@pytest.mark.parametrize(
    ("losses", "code"),
    [
        ([1.9, 1.6, 1.4, 1.3], VerdictCode.TRAIN_LONGER),
        ([2.0, 1.9, 1.88, 1.87], VerdictCode.TRAIN_LONGER),
        ([1.9, 1.3, 1.3, 1.3], VerdictCode.OK),
        ([1.9, 1.6, *[1.3] * 10], VerdictCode.OK),
    ],
)
def test_a_few_epochs_that_each_lowered_the_loss_are_no_floor(losses: list[float], code: VerdictCode) -> None:
    assert without_proof(case_of(losses), (), (), False, 3).code is code


def test_a_higher_rate_gets_a_quarter_of_a_run_of_few_epochs() -> None:
    falls = case_of([1.9, 1.6, 1.4, 1.3])
    short = rate_too_low(falls)
    assert short is not None
    assert (len(short.tries), short.share) == (1, 0.25)
    long_ = rate_too_low(case_of([2.0 - 0.1 * epoch for epoch in range(12)]))
    assert long_ is not None
    assert (len(long_.tries), long_.share) == (2, 0.12)
