import math

import pytest

from hpsearch.errors import TrialError
from hpsearch.training.schedules import Schedule, build_schedule
from hpsearch.vocabulary import SCHEDULES, hyperparameters


def schedule(steps: int = 100, per_epoch: int = 10, **params: float | str) -> Schedule:
    return build_schedule(hyperparameters({}, params), steps, per_epoch)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_stays_between_0_and_1_and_starts_at_1(name: str) -> None:
    factors = [schedule(schedule=name).factor(step) for step in range(150)]
    assert factors[0] == 1.0
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_rises_linearly_to_the_full_rate(name: str) -> None:
    warm = schedule(schedule=name, warmup_epochs=0.5)
    assert [warm.factor(step) for step in range(6)] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]


def test_step_cuts_once_at_half_of_the_budget_unless_told_when() -> None:
    assert [schedule(schedule="step").factor(s) for s in (49, 50, 99)] == [1.0, 0.1, 0.1]
    told = schedule(schedule="step", step_epochs=2.5, step_factor=0.5)
    assert [told.factor(s) for s in (24, 25)] == [1.0, 0.5]


def test_cosine_and_linear_fall_to_zero_at_the_end() -> None:
    assert schedule(schedule="cosine").factor(50) == pytest.approx(0.5)
    assert schedule(schedule="cosine").factor(25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert schedule(schedule="linear").factor(75) == pytest.approx(0.25)
    assert schedule(schedule="linear").factor(100) == 0.0


def test_a_schedule_can_be_shorter_than_the_budget() -> None:
    assert schedule(schedule="linear", schedule_epochs=5).factor(25) == pytest.approx(0.5)


def test_inverse_sqrt_halves_when_steps_quadruple() -> None:
    falling = schedule(schedule="inverse_sqrt", warmup_epochs=2)
    assert falling.factor(4 * 20 - 1) == pytest.approx(0.5)


def test_only_a_plain_constant_is_constant() -> None:
    assert schedule().constant
    assert not schedule(warmup_epochs=1).constant
    assert not schedule(schedule="cosine").constant


def test_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(TrialError, match="did you mean 'cosine'"):
        schedule(schedule="cosin")


@pytest.mark.parametrize("step", [1, 30, 49, 50, 51, 80])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"schedule": "step"}),
        ({"schedule": "step"}, {"schedule": "step", "step_factor": 0.5}),
        ({"schedule": "cosine"}, {"schedule": "linear"}),
        ({"schedule": "cosine", "warmup_epochs": 5.5}, {"schedule": "linear", "warmup_epochs": 5.5}),
        ({"schedule": "cosine"}, {"schedule": "cosine", "schedule_epochs": 10.0}),
        ({"warmup_epochs": 1.0}, {"warmup_epochs": 2.0}),
    ],
)
def test_schedules_that_are_described_alike_have_the_same_factors(
    one: dict[str, float | str], other: dict[str, float | str], step: int
) -> None:
    left, right = schedule(**one), schedule(**other)
    if left.until(step) == right.until(step):
        assert [left.factor(s) for s in range(step)] == [right.factor(s) for s in range(step)]


def test_a_cut_is_no_part_of_the_past_before_it_is_made() -> None:
    cut = schedule(schedule="step")
    assert cut.until(50) == schedule().until(50) == "constant"
    assert cut.until(51) != "constant"
