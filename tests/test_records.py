"""States and identity."""

import math
from enum import StrEnum

import pytest
from pydantic import ValidationError

from hpsearch.errors import IllegalMove
from hpsearch.records import (
    RUN_MOVES,
    STAGE_MOVES,
    STUDY_MOVES,
    TRIAL_MOVES,
    Budget,
    Outcome,
    Points,
    Program,
    RunState,
    StageState,
    StudyState,
    TrialPlan,
    TrialState,
    check_move,
)


@pytest.mark.parametrize(
    ("states", "moves"),
    [(StudyState, STUDY_MOVES), (StageState, STAGE_MOVES), (TrialState, TRIAL_MOVES), (RunState, RUN_MOVES)],
)
def test_every_state_has_its_moves(states: type[StrEnum], moves: dict[StrEnum, frozenset[StrEnum]]) -> None:
    assert set(moves) == set(states)
    assert all(targets <= set(states) for targets in moves.values())


def test_a_result_is_never_taken_back() -> None:
    for state in (TrialState.COMPLETED, TrialState.DIVERGED, TrialState.PRUNED):
        assert TRIAL_MOVES[state] == frozenset()


def test_an_illegal_move_is_refused() -> None:
    with pytest.raises(IllegalMove, match="trial is completed and can't become running"):
        check_move("trial", TRIAL_MOVES, TrialState.COMPLETED, TrialState.RUNNING)


def plan(**changes: object) -> TrialPlan:
    base = {"program": Program(kind="train"), "params": {"lr": 0.1, "wd": 0.0}, "budget": Budget(epochs=3)}
    return TrialPlan.model_validate({**base, **changes})


def test_identity_is_program_params_replicate_and_budget() -> None:
    changed = [
        plan(program=Program(kind="train", test=True)),
        plan(params={"lr": 0.2, "wd": 0.0}),
        plan(replicate=1),
        plan(budget=Budget(epochs=6)),
    ]
    assert len({plan().digest, *(p.digest for p in changed)}) == 5


def test_role_continuation_and_order_of_params_are_not_identity() -> None:
    assert plan().digest == plan(role="x", continues=7, params={"wd": 0.0, "lr": 0.1}).digest


def test_identity_survives_json() -> None:
    assert TrialPlan.model_validate_json(plan().model_dump_json()).digest == plan().digest


def test_non_finite_numbers_travel_as_strings_both_ways() -> None:
    points = Points(steps=(1, 2, 3), values=(math.nan, math.inf, -math.inf))
    text = points.model_dump_json()
    assert text == '{"steps":[1,2,3],"values":["NaN","Infinity","-Infinity"]}'
    back = Points.model_validate_json(text).values
    assert math.isnan(back[0])
    assert back[1:] == (math.inf, -math.inf)


def test_a_budget_is_steps_or_epochs() -> None:
    for bad in ({}, {"steps": 1, "epochs": 1}, {"steps": 0}, {"epochs": -1}):
        with pytest.raises(ValidationError):
            Budget.model_validate(bad)


def test_only_a_failure_has_a_reason() -> None:
    with pytest.raises(ValidationError):
        Outcome(state="failed")
    with pytest.raises(ValidationError):
        Outcome.model_validate({"state": "completed", "reason": "oom"})
