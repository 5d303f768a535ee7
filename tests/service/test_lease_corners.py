"""What leases, fences and accounts do at the moments that the larger tests seldom meet."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from hpsearch.errors import NotFound
from hpsearch.records import FailureReason, Program, RunId, StudyId, StudyState, TrialId, TrialState
from hpsearch.service import (
    budgets,
    checkpoints,
    heartbeats,
    leases,
    lookup,
    packs,
    reaper,
    studies,
    trials,
    workers,
)
from hpsearch.service.checkpoints import NewCheckpoint
from hpsearch.service.heartbeats import Beat
from hpsearch.store import runs as run_rows
from hpsearch.store import studies as study_rows
from hpsearch.store.tables import studies as studies_table
from hpsearch.store.tables import trials as trials_table
from hpsearch.wire import LeaseRequest


def test_a_server_that_hands_out_nothing_now_says_why(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    asked = LeaseRequest(worker_id=fleet.worker().id, request_id="request-1")
    answer = leases.lease(fleet.db, asked, now=fleet.clock.now, paused="the disk is full")
    assert (answer.leases, answer.detail) == ((), "the disk is full")
    assert fleet.trials("grid")[0].state is TrialState.WAITING


def test_what_was_handed_out_before_is_handed_out_again_though_nothing_new_is(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    asked = LeaseRequest(worker_id=fleet.worker().id, request_id="request-1", max_trials=1)
    first = leases.lease(fleet.db, asked, now=fleet.clock.now)
    assert leases.lease(fleet.db, asked, now=fleet.clock.now, paused="the disk is full") == first


def test_a_slot_that_the_worker_never_registered_is_not_found(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    with pytest.raises(NotFound, match="has no slot 2") as caught:
        fleet.lease(fleet.worker(slots=2), slot=2)
    assert caught.value.hint == "it registered 2 slots"


def test_a_study_that_ended_between_look_and_lock_gives_nothing(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = fleet.study(make.grid())
    studies.pause(fleet.db, "grid", now=fleet.clock.now)
    seen_before = [StudyId(study.id + 99), study.id]
    monkeypatch.setattr(study_rows, "claimable", lambda tx, *, gpu, labels: seen_before)
    assert fleet.lease(fleet.worker()) == ()
    assert set(fleet.states("grid")) == {TrialState.WAITING}


def test_a_study_that_was_deleted_before_its_leases_were_reaped_costs_nothing(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = fleet.study(make.grid())
    monkeypatch.setattr(run_rows, "studies_with_expired", lambda tx, *, now: [StudyId(study.id + 99)])
    assert reaper.tick(fleet.db, now=fleet.clock.now, monotonic=0.0, lease_seconds=30.0, server="one") == 0


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.FAILED])
def test_a_longer_training_starts_from_the_checkpoint_of_a_completed_shorter_one(
    fleet: Any, make: Any, state: TrialState
) -> None:
    fleet.study(make.small())
    worker = fleet.worker()
    before = fleet.one(worker)
    stored = checkpoints.register(
        fleet.db,
        NewCheckpoint(before.run_id, worker.id, "last", 7, 10, "0" * 64, Path("a")),
        now=fleet.clock.now,
    )
    ended = make.done() if state is TrialState.COMPLETED else make.failed(FailureReason.ERROR)
    fleet.report(worker.id, before.run_id, ended)
    follow(fleet, fleet.trials("small")[1].id, before.trial_id)
    assert fleet.one(worker).start == (stored if state is TrialState.COMPLETED else None)


def test_a_longer_training_starts_afresh_where_the_shorter_one_left_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    worker = fleet.worker()
    before = fleet.one(worker)
    fleet.report(worker.id, before.run_id, make.done())
    follow(fleet, fleet.trials("small")[1].id, before.trial_id)
    assert fleet.one(worker).start is None


def follow(fleet: Any, trial: TrialId, before: TrialId) -> None:
    """As the recipe plans a later rung."""
    with fleet.db.write() as tx:
        tx.execute(update(trials_table).where(trials_table.c.id == trial).values(continues=before))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_can_not_be_is_no_pace(fleet: Any, make: Any, seconds: float) -> None:
    fleet.study(make.small())
    trial = fleet.trials("small")[0]
    assert packs.pace_after({"known": 1.0}, trial.program, trial.budget, seconds) == {"known": 1.0}


def test_device_hours_that_are_over_are_over_whatever_runs(fleet: Any, make: Any) -> None:
    study = fleet.study(make.grid(budget={"device_hours": 1}))
    with fleet.db.write() as tx:
        spent = studies_table.c.device_seconds
        tx.execute(update(studies_table).where(studies_table.c.id == study.id).values({spent: 3_600.0}))
    with fleet.db.read() as tx:
        row = lookup.study(tx, "grid")
        assert budgets.time_spent(tx, row, row.spec, now=fleet.clock.now)
    assert fleet.lease(fleet.worker()) == ()


def test_beats_that_name_more_runs_than_a_statement_takes_harm_nobody(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    honest, other = fleet.worker("honest"), fleet.worker("other")
    mine, also = fleet.one(honest).run_id, fleet.one(honest).run_id
    fleet.clock.advance(10)
    # libpq takes 65,535 parameters, and each beat may name 4,096 runs.
    hostile = [
        Beat(other.id, tuple(RunId(number) for number in range(first, first + 4_096)))
        for first in range(1, 17 * 4_096, 4_096)
    ]
    answers = heartbeats.heartbeat_all(
        fleet.db, [*hostile, Beat(honest.id, (mine, also))], now=fleet.clock.now, lease_seconds=30
    )
    assert [len(answer.lost) for answer in answers] == [4_096] * 17 + [0]
    fleet.clock.advance(25)
    reaper.tick(fleet.db, now=fleet.clock.now, monotonic=0.0, lease_seconds=30, server="one")
    assert [t.state for t in fleet.trials("grid")].count(TrialState.RUNNING) == 2


def test_an_unknown_worker_is_not_drained_and_the_nearest_name_is_told(fleet: Any) -> None:
    fleet.worker("node-1")
    with pytest.raises(NotFound) as caught:
        workers.drain(fleet.db, "node-2", now=fleet.clock.now)
    assert caught.value.hint == "did you mean 'node-1'?"
    with pytest.raises(NotFound) as caught:
        workers.drain(fleet.db, "something else", now=fleet.clock.now)
    assert caught.value.hint == "`hpsearch worker list` shows all"


def test_a_worker_is_drained_as_often_as_one_likes(fleet: Any) -> None:
    fleet.worker("node")
    first = workers.drain(fleet.db, "node", now=fleet.clock.now)
    assert workers.drain(fleet.db, "node", now=fleet.clock.now) == first


def test_a_trial_that_was_stopped_while_its_worker_vanished_is_cancelled_and_not_poison(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small())
    worker = fleet.worker()
    for _ in range(2):
        fleet.report(worker.id, fleet.one(worker).run_id, make.failed(FailureReason.CRASHED))
    third = fleet.one(worker)
    trials.stop(fleet.db, third.trial_id, now=fleet.clock.now)
    fleet.report(worker.id, third.run_id, make.failed(FailureReason.CRASHED))
    ended = trials.get(fleet.db, third.trial_id)
    assert (ended.state, ended.reason, ended.message) == (TrialState.CANCELLED, None, "stopped by the user")
    assert studies.get(fleet.db, "small").state is StudyState.RUNNING


@pytest.mark.parametrize(
    ("program", "budget", "kept"),
    [
        ({"kind": "train"}, {"epochs": 3}, True),
        ({"kind": "train"}, {"steps": 100}, False),
        ({"kind": "train"}, None, False),
        ({"kind": "train", "subset_batches": 8}, {"epochs": 3}, False),
        ({"kind": "train", "test": True}, {"epochs": 3}, False),
        ({"kind": "check"}, {"epochs": 3}, False),
    ],
)
def test_the_last_state_is_kept_of_what_a_recipe_may_train_longer(
    fleet: Any, make: Any, program: dict[str, Any], budget: dict[str, Any] | None, kept: bool
) -> None:
    fleet.study(make.grid("recipe", method="recipe", grid={}))
    trial = fleet.trials("recipe")[0]
    whole = Program.model_validate(program).model_dump(mode="json")
    with fleet.db.write() as tx:
        changed = update(trials_table).where(trials_table.c.id == trial.id)
        tx.execute(changed.values(program=whole, budget=budget))
    assert fleet.one(fleet.worker()).keep_last is kept


def test_no_state_is_kept_of_a_grids_trial(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 3}))
    assert fleet.one(fleet.worker()).keep_last is False
