"""A spent budget starts nothing new, and takes nothing from a trial that was started."""

from typing import Any

import pytest

from hpsearch.errors import Conflict
from hpsearch.records import FailureReason, Outcome, StudyState, TrialState
from hpsearch.service import lookup, reaper, studies, trials
from tests.service.slow_trial import ask, digits, slow_grid

RELEASED = Outcome(state="released", message="the worker drains")


def random_spec(make: Any, **changes: Any) -> Any:
    return make.grid("random", method="random", grid={}, budget={"trials": 2}, **changes)


def test_a_released_trial_runs_again_although_the_budget_is_spent(fleet: Any, make: Any) -> None:
    fleet.study(random_spec(make))
    worker = fleet.worker()
    first, second = fleet.one(worker), fleet.one(worker)
    fleet.report(worker.id, first.run_id, make.done())
    fleet.report(worker.id, second.run_id, RELEASED)
    again = fleet.one(worker)
    assert again.trial_id == second.trial_id
    fleet.report(worker.id, again.run_id, make.done())
    study = studies.get(fleet.db, "random")
    assert (study.state, study.trial_counts[TrialState.COMPLETED]) == (StudyState.COMPLETED, 2)


def test_the_last_released_trial_of_a_grid_runs_again_before_the_study_stops(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"trials": 3}))
    worker = fleet.worker()
    leases = [fleet.one(worker) for _ in range(3)]
    for lease in leases:
        fleet.report(worker.id, lease.run_id, RELEASED)
    assert studies.get(fleet.db, "grid").state is StudyState.RUNNING
    (again,) = fleet.lease(worker, most=16)  # one at a time: any of them may be why its worker gave up
    fleet.report(worker.id, again.run_id, make.done())
    for _ in range(2):
        fleet.report(worker.id, fleet.one(worker).run_id, make.done())
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.STOPPED
    assert "budget of 3 trials" in study.reason
    assert study.trial_counts[TrialState.COMPLETED] == 3
    assert study.trial_counts[TrialState.CANCELLED] == 9


def test_failed_trials_of_a_random_study_can_be_retried(fleet: Any, make: Any) -> None:
    fleet.study(random_spec(make))
    worker = fleet.worker()
    fleet.train_all(worker, lambda _: make.failed(FailureReason.ERROR))
    assert studies.get(fleet.db, "random").state is StudyState.FAILED
    studies.retry(fleet.db, "random", now=fleet.clock.now)
    assert len(fleet.train_all(worker, lambda _: make.done())) == 2
    assert studies.get(fleet.db, "random").state is StudyState.COMPLETED


def test_a_trial_of_a_stopped_study_is_not_retried_at_the_cost_of_the_others(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=3))
    worker = fleet.worker()
    lease = fleet.one(worker)
    studies.stop(fleet.db, "small", now=fleet.clock.now)
    fleet.report(worker.id, lease.run_id, make.failed(FailureReason.ERROR))
    with pytest.raises(Conflict, match="would be given up"):
        trials.retry(fleet.db, lease.trial_id, now=fleet.clock.now)
    studies.resume(fleet.db, "small", now=fleet.clock.now)
    assert len(fleet.train_all(worker, lambda _: make.done())) == 2


def test_a_task_file_waits_for_a_worker_that_was_started_with_task_files(fleet: Any, make: Any) -> None:
    task = {"kind": "file", "file": "task.py", "class_name": "Mine", "sha256": "a" * 64}
    fleet.study(make.small(task=task))
    assert fleet.lease(fleet.worker("plain")) == ()
    assert fleet.lease(fleet.worker("with-tasks", labels=("task-files",)))


def test_device_hours_are_counted_while_trials_run_and_nothing_starts_beyond_them(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid(budget={"device_hours": 1}))
    workers = [fleet.worker("one"), fleet.worker("two")]
    first, second = (fleet.one(worker) for worker in workers)
    fleet.clock.advance(1_200)
    fleet.report(workers[0].id, first.run_id, make.done())
    third = fleet.one(workers[0])  # 20 + 20 minutes are used
    fleet.clock.advance(600)
    assert fleet.lease(fleet.worker("three")) == ()  # 30 + 30
    fleet.report(workers[1].id, second.run_id, make.done())
    assert studies.get(fleet.db, "grid").state is StudyState.STOPPING
    fleet.report(workers[0].id, third.run_id, make.done())
    study = studies.get(fleet.db, "grid")
    assert (study.state, study.trial_counts[TrialState.COMPLETED]) == (StudyState.STOPPED, 3)
    assert "1 device hours" in study.reason


def test_a_packs_slot_is_counted_once_however_many_trials_it_holds(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"device_hours": 1}))
    worker = fleet.worker()
    fleet.clock.advance(1)
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(seconds=0.01))
    pack = fleet.lease(worker)
    assert len(pack) > 4
    for lease in pack:
        fleet.clock.advance(100)
        fleet.report(worker.id, lease.run_id, make.done(seconds=0.01))
    with fleet.db.read() as tx:
        used = lookup.study(tx, "grid").device_seconds
    assert used == 100 * len(pack)


def test_minutes_run_from_the_first_claim_and_no_later_one_puts_them_off(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"minutes": 10}))
    worker = fleet.worker()
    fleet.one(worker)
    fleet.clock.advance(360)
    fleet.one(worker)
    fleet.clock.advance(360)
    assert fleet.lease(worker) == ()


def waiting_for_ever(fleet: Any, key: str, *workers: Any) -> bool:
    """Whether the study still runs after an hour of ticks in which nobody was given a trial."""
    for _ in range(60):
        reaper.tick(fleet.db, now=fleet.clock.advance(60), monotonic=fleet.clock.now.timestamp())
        if any(fleet.lease(worker) for worker in workers):
            return False
    return studies.get(fleet.db, key).state is StudyState.RUNNING


def test_a_trial_is_not_retried_under_spent_device_hours(fleet: Any, make: Any) -> None:
    fleet.study(make.small(budget={"device_hours": 1}))
    worker = fleet.worker()
    first = fleet.one(worker)
    fleet.clock.advance(1_800)
    fleet.report(worker.id, first.run_id, make.done())
    second = fleet.one(worker)
    fleet.clock.advance(2_000)
    fleet.report(worker.id, second.run_id, make.failed(FailureReason.ERROR))
    before = studies.get(fleet.db, "small")
    assert before.state is StudyState.COMPLETED
    with pytest.raises(Conflict, match="can't run again: its budget of 1 device hours is used up") as refused:
        trials.retry(fleet.db, second.trial_id, now=fleet.clock.now)
    assert refused.value.hint is not None
    assert "hpsearch study fork small" in refused.value.hint
    assert studies.get(fleet.db, "small") == before


def test_a_trial_that_never_ran_is_not_retried_under_a_spent_budget_of_trials_and_one_that_ran_is(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small(points=3, budget={"trials": 2}))
    worker = fleet.worker()
    third = fleet.trials("small")[2]
    trials.stop(fleet.db, third.id, now=fleet.clock.now)
    fleet.report(worker.id, fleet.one(worker).run_id, make.done())
    second = fleet.one(worker)
    fleet.report(worker.id, second.run_id, make.failed(FailureReason.ERROR))
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED
    with pytest.raises(Conflict, match="its budget of 2 trials is used up"):
        trials.retry(fleet.db, third.id, now=fleet.clock.now)
    trials.retry(fleet.db, second.trial_id, now=fleet.clock.now)
    assert fleet.one(worker).trial_id == second.trial_id


def test_what_waits_for_a_budget_that_probes_have_spent_is_stopped(fleet: Any, make: Any) -> None:
    fleet.study(slow_grid(make, budget={"device_hours": 1}))
    one, two = fleet.worker("one"), fleet.worker("two")
    first = fleet.one(one)
    fleet.report(one.id, first.run_id, digits(first))
    second = fleet.one(two)
    ask(fleet, fleet.trials("slow")[0])
    probe = fleet.one(one)
    assert probe.study != "slow"
    fleet.report(two.id, second.run_id, RELEASED)  # a machine that is taken away
    fleet.clock.advance(3_700)
    fleet.report(one.id, probe.run_id, digits(probe))
    assert not waiting_for_ever(fleet, "slow", one, two)
    study = studies.get(fleet.db, "slow")
    assert (study.state, study.trial_counts[TrialState.CANCELLED]) == (StudyState.STOPPED, 1)
    assert "1 device hours" in study.reason


def test_probes_that_wait_for_a_budget_that_their_study_has_spent_are_stopped(fleet: Any, make: Any) -> None:
    fleet.study(slow_grid(make, budget={"device_hours": 1}))
    one, two = fleet.worker("one"), fleet.worker("two")
    first = fleet.one(one)
    fleet.report(one.id, first.run_id, digits(first))
    second = fleet.one(two)
    ask(fleet, fleet.trials("slow")[0])
    fleet.clock.advance(3_700)
    fleet.report(two.id, second.run_id, digits(second))
    assert not waiting_for_ever(fleet, f"diagnosis:{first.trial_id}", one, two)
    assert studies.get(fleet.db, f"diagnosis:{first.trial_id}").state is StudyState.STOPPED


def test_device_hours_end_a_study_whose_budget_of_trials_is_used_up_too(fleet: Any, make: Any) -> None:
    fleet.study(make.small(budget={"device_hours": 1, "trials": 2}))
    workers = [fleet.worker("one"), fleet.worker("two")]
    first, second = (fleet.one(worker) for worker in workers)
    fleet.clock.advance(1_000)
    fleet.report(workers[1].id, second.run_id, RELEASED)
    fleet.clock.advance(1_500)
    again = fleet.one(workers[1])
    assert again.trial_id == second.trial_id  # it is paid for, and there is time
    fleet.report(workers[1].id, again.run_id, RELEASED)
    fleet.clock.advance(200)  # 2,700 + 1,000 seconds
    assert fleet.lease(workers[1]) == ()
    fleet.report(workers[0].id, first.run_id, make.done())
    assert studies.get(fleet.db, "small").state is StudyState.STOPPED
