from typing import Any

import pytest

from hpsearch.records import FailureReason, Outcome, StudyState, TrialState, WorkerState
from hpsearch.service import leases, studies, workers
from hpsearch.wire import LeaseRequest

SICK = FailureReason.ERROR


@pytest.fixture
def pair(fleet: Any, make: Any) -> Any:
    """A grid of twelve, a healthy worker that has brought two results, and another one."""
    fleet.study(make.grid())
    healthy, other = fleet.worker("healthy"), fleet.worker("other")
    for _ in range(2):
        fleet.report(healthy.id, fleet.one(healthy).run_id, make.done())
    return healthy, other


def fail(fleet: Any, make: Any, worker: Any, times: int, reason: FailureReason = SICK) -> list[int]:
    numbers = []
    for _ in range(times):
        lease = fleet.one(worker)
        fleet.report(worker.id, lease.run_id, make.failed(reason))
        numbers.append(lease.number)
    return numbers


def test_a_worker_whose_trials_fail_where_others_succeed_is_suspended_and_its_trials_go_elsewhere(
    fleet: Any, make: Any, pair: Any
) -> None:
    healthy, sick = pair
    numbers = fail(fleet, make, sick, 3)
    assert fleet.lease(sick) == ()
    back = [trial for trial in fleet.trials("grid") if trial.number in numbers]
    assert [(t.state, t.failures, t.message) for t in back] == [(TrialState.WAITING, 0, "")] * 3
    assert fleet.one(healthy).number == numbers[0]
    assert fleet.states("grid").count(TrialState.FAILED) == 0


def test_it_is_told_why_and_shown_as_suspended(fleet: Any, make: Any, pair: Any) -> None:
    _, sick = pair
    fail(fleet, make, sick, 3)
    request = LeaseRequest(worker_id=sick.id, request_id="request-why")
    answer = leases.lease(fleet.db, request, now=fleet.clock.now)
    assert "worker 'other' is suspended until" in answer.detail
    shown = {worker.name: worker.state for worker in workers.list_all(fleet.db, now=fleet.clock.now).workers}
    assert shown == {"healthy": WorkerState.ACTIVE, "other": WorkerState.SUSPENDED}
    kinds = [event.kind for event in studies.events(fleet.db, "grid", after=0, limit=1_000)]
    assert kinds.count("worker_suspended") == 1


def test_after_the_pause_it_is_tried_with_one_trial_and_the_pause_doubles(
    fleet: Any, make: Any, pair: Any
) -> None:
    _, sick = pair
    fail(fleet, make, sick, 3)
    fleet.clock.advance(59)
    assert fleet.lease(sick) == ()
    fleet.clock.advance(2)
    lease = fleet.one(sick)
    assert fleet.lease(sick) == ()
    fleet.report(sick.id, lease.run_id, make.failed(SICK))
    fleet.clock.advance(119)
    assert fleet.lease(sick) == ()
    fleet.clock.advance(2)
    assert fleet.report(sick.id, fleet.one(sick).run_id, make.done()).status == "ok"
    assert fleet.lease(sick) != ()


def test_failures_that_everybody_has_suspend_nobody(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    one, two = fleet.worker("one"), fleet.worker("two")
    for _ in range(3):
        fail(fleet, make, one, 1)
        fail(fleet, make, two, 1)
    assert fleet.lease(one) != ()
    assert fleet.states("grid").count(TrialState.FAILED) == 6


def test_a_worker_alone_is_not_suspended(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    fail(fleet, make, worker, 4)
    assert fleet.lease(worker) != ()


def test_a_machine_that_fails_at_once_does_not_eat_a_study_whose_trials_take_hours(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid(grid={"learning_rate": 100}))
    slow, sick = fleet.worker("slow"), fleet.worker("sick")
    fleet.one(slow)
    failures = 0
    for _ in range(3_600):
        for lease in fleet.lease(sick):
            fleet.report(sick.id, lease.run_id, make.failed(FailureReason.TASK_NOT_ALLOWED))
            failures += 1
        fleet.clock.advance(1)
    assert failures <= 9
    assert fleet.states("grid").count(TrialState.FAILED) == 0


def test_out_of_memory_and_released_runs_do_not_count(fleet: Any, make: Any, pair: Any) -> None:
    _, worker = pair
    fail(fleet, make, worker, 2)
    fail(fleet, make, worker, 1, FailureReason.OOM)
    fleet.report(worker.id, fleet.one(worker).run_id, Outcome(state="released"))
    assert fleet.lease(worker) != ()


def test_the_last_trials_of_a_study_still_go_elsewhere(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=5))
    healthy, sick = fleet.worker("healthy"), fleet.worker("sick")
    for _ in range(2):
        fleet.report(healthy.id, fleet.one(healthy).run_id, make.done())
    fail(fleet, make, sick, 3)
    fleet.train_all(healthy, lambda lease: make.done())
    assert fleet.states("small") == [TrialState.COMPLETED] * 5


def tried_for(fleet: Any, make: Any, worker: Any, hours: int) -> int:
    """How many trials fail on a worker that asks each minute."""
    failures = 0
    for _ in range(60 * hours):
        fleet.clock.advance(60)
        for lease in fleet.lease(worker, most=1):
            fleet.report(worker.id, lease.run_id, make.failed(SICK))
            failures += 1
    return failures


def test_what_fails_again_after_the_others_have_gone_has_failed(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=5))
    healthy, other = fleet.worker("healthy"), fleet.worker("other")
    for _ in range(2):
        fleet.report(healthy.id, fleet.one(healthy).run_id, make.done())
    fail(fleet, make, other, 3)
    assert fleet.states("small").count(TrialState.WAITING) == 3
    fleet.clock.advance(100)  # three leases: the healthy one is gone
    assert tried_for(fleet, make, other, hours=2) == 3
    assert fleet.states("small").count(TrialState.FAILED) == 3
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED


def test_what_fails_again_beside_workers_that_can_not_take_it_has_failed(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=5, resources={"labels": ["big"]}))
    healthy, other = (fleet.worker(name, labels=("big",)) for name in ("healthy", "other"))
    for _ in range(2):
        fleet.report(healthy.id, fleet.one(healthy).run_id, make.done())
    workers.drain(fleet.db, "healthy", now=fleet.clock.now)
    fail(fleet, make, other, 3)
    fleet.study(make.grid())
    small = fleet.worker("small")
    assert fleet.one(small).study == "grid"  # it is at work, and has not the label
    tried_for(fleet, make, other, hours=1)
    assert fleet.states("small").count(TrialState.FAILED) == 3
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED


def test_what_fails_again_beside_one_that_may_take_it_waits_for_that_one(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=6))
    healthy, other = fleet.worker("healthy"), fleet.worker("other")
    for _ in range(2):
        fleet.report(healthy.id, fleet.one(healthy).run_id, make.done())
    slow = fleet.one(healthy)
    fail(fleet, make, other, 3)
    assert tried_for(fleet, make, other, hours=1) > 3
    assert fleet.states("small").count(TrialState.FAILED) == 0
    fleet.report(healthy.id, slow.run_id, make.done())
    fleet.train_all(healthy, lambda _: make.done())
    assert fleet.states("small") == [TrialState.COMPLETED] * 6
