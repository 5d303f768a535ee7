"""The recipe's decisions, applied. `decide` is replaced by one of two stages, to see each part applied."""

from typing import Any

import pytest

from hpsearch.recipe import plan as recipe
from hpsearch.recipe.decision import Decision, Finish, StageClose, StageOpen
from hpsearch.records import (
    Budget,
    Program,
    StageKind,
    StageState,
    StudyState,
    TrialPlan,
    TrialState,
    Verdict,
)
from hpsearch.service import studies
from hpsearch.vocabulary import VerdictCode

CHECK = TrialPlan(program=Program(kind="check"), params={}, role="check")


def probe(rate: float) -> TrialPlan:
    return TrialPlan(
        program=Program(kind="train"), params={"learning_rate": rate}, budget=Budget(steps=100), role="probe"
    )


def tiny_recipe(spec: Any, stages: Any, trials: Any) -> Decision:
    """Two stages of one trial each, planned and judged like the real ones."""
    if not stages:
        return Decision(open=StageOpen(kind=StageKind.INITIAL_LOSS, round=0), trials=(CHECK,))
    last = stages[-1]
    if last.state is StageState.RUNNING and last.kind is StageKind.INITIAL_LOSS:
        verdict = Verdict(code=VerdictCode.OK, text="fine", confidence=1.0)
        close = StageClose(stage_id=last.id, state=StageState.PASSED, verdict=verdict, carried={"loss": 2.3})
        # The check was planned before: it must not be trained twice.
        return Decision(
            close=close, open=StageOpen(kind=StageKind.FIND_LR, round=1), trials=(CHECK, probe(0.1))
        )
    assert [trial.role for trial in trials] == ["check", "probe"]
    return Decision(finish=Finish(state=StudyState.FAILED, reason="no rate passed; widen the range"))


def recipe_spec(make: Any, **changes: Any) -> Any:
    return make.grid("recipe", method="recipe", grid={}, **changes)


def test_decisions_of_the_recipe_are_applied_until_trials_wait(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "decide", tiny_recipe)
    fleet.study(recipe_spec(make))
    worker = fleet.worker()
    check = fleet.one(worker)
    assert check.assignment.program.kind == "check"
    fleet.report(worker.id, check.run_id, make.done(None))
    first, second = studies.stages(fleet.db, "recipe").stages
    assert (first.state, first.carried, first.trials) == (StageState.PASSED, {"loss": 2.3}, 1)
    assert (second.kind, second.round, second.trials) == (StageKind.FIND_LR, 1, 1)
    fleet.report(worker.id, fleet.one(worker).run_id, make.done())
    study = studies.get(fleet.db, "recipe")
    assert (study.state, study.reason) == (StudyState.FAILED, "no rate passed; widen the range")


def test_planning_that_raises_keeps_the_result_and_fails_the_study(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "decide", tiny_recipe)
    fleet.study(recipe_spec(make))
    worker = fleet.worker()
    check = fleet.one(worker)

    def broken(spec: Any, stages: Any, trials: Any) -> Decision:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(recipe, "decide", broken)
    assert fleet.report(worker.id, check.run_id, make.done(None)).status == "ok"
    assert fleet.states("recipe") == [TrialState.COMPLETED]
    study = studies.get(fleet.db, "recipe")
    assert study.state is StudyState.FAILED
    assert "ZeroDivisionError: division by zero" in study.reason
    monkeypatch.setattr(recipe, "decide", tiny_recipe)
    assert studies.retry(fleet.db, "recipe", now=fleet.clock.now).state is StudyState.RUNNING
    assert fleet.one(worker).assignment.params == {"learning_rate": 0.1}


def test_a_recipe_that_waits_for_nothing_fails_instead_of_hanging(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "decide", lambda spec, stages, trials: Decision())
    study = fleet.study(recipe_spec(make))
    assert study.state is StudyState.FAILED
    assert "no trial is open" in study.reason


def test_a_recipe_stops_when_its_budget_of_trials_is_used(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "decide", tiny_recipe)
    fleet.study(recipe_spec(make, budget={"trials": 1}))
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(None))
    study = studies.get(fleet.db, "recipe")
    assert (study.state, study.reason) == (StudyState.STOPPED, "its budget of 1 trials is used up")


def test_the_real_recipe_opens_with_the_check(fleet: Any, make: Any) -> None:
    fleet.study(recipe_spec(make))
    lease = fleet.one(fleet.worker())
    assert lease.assignment.program.kind == "check"
    assert lease.keep_last is False
