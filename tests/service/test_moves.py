"""Stages that end with their study, and stages that run again."""

from typing import Any

import pytest

from hpsearch.records import Budget, StageKind, StageState
from hpsearch.service import lookup, moves, packs
from hpsearch.store import stages
from hpsearch.store.engine import Database

ENDED = (StageState.PASSED, StageState.WARNED, StageState.FAILED, StageState.SKIPPED)


def staged(fleet: Any, make: Any, *states: StageState) -> str:
    """A study with stages in these states, in this order, after its own, which has passed."""
    study = fleet.study(make.small())
    with fleet.db.write() as tx:
        moves.end_running_stage(tx, lookup.study(tx, study.name), StageState.PASSED, now=fleet.clock.now)
        for position, state in enumerate(states):
            stage = stages.insert_stage(
                tx, study.id, StageKind.COARSE, round_number=position + 1, now=fleet.clock.now
            )
            if state is not StageState.RUNNING:
                stages.close(tx, stage, state, verdict=None, carried={}, now=fleet.clock.now)
    return str(study.name)


def states(db: Database, name: str) -> list[StageState]:
    with db.read() as tx:
        first, *rest = stages.of_study(tx, lookup.study(tx, name).id)
    assert first.state is StageState.PASSED
    return [stage.state for stage in rest]


def test_the_stage_under_way_ends_and_those_before_stay_as_they_were(fleet: Any, make: Any) -> None:
    name = staged(fleet, make, StageState.PASSED, StageState.RUNNING)
    with fleet.db.write() as tx:
        moves.end_running_stage(tx, lookup.study(tx, name), StageState.FAILED, now=fleet.clock.now)
    assert states(fleet.db, name) == [StageState.PASSED, StageState.FAILED]


@pytest.mark.parametrize("has_trials", [True, False])
@pytest.mark.parametrize("last", ENDED)
def test_the_last_stage_runs_again_where_it_failed_or_its_trials_are_back(
    fleet: Any, make: Any, last: StageState, has_trials: bool
) -> None:
    name = staged(fleet, make, StageState.FAILED, last)
    with fleet.db.write() as tx:
        moves.reopen_last_stage(tx, lookup.study(tx, name), has_trials=has_trials, now=fleet.clock.now)
    again = last is StageState.FAILED or (has_trials and last is not StageState.SKIPPED)
    expected = StageState.RUNNING if again else last
    assert states(fleet.db, name) == [StageState.FAILED, expected]


def test_trials_of_steps_of_epochs_and_of_no_length_are_different_work(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    program = fleet.trials("small")[0].program
    assert packs.kind_of_work(program, None) == ("train:all", 1.0)
    assert packs.kind_of_work(program, Budget(steps=100)) == ("train:all:steps", 100.0)
    assert packs.kind_of_work(program, Budget(epochs=3)) == ("train:all:epochs", 3.0)
