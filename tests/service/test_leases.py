import threading
from collections import Counter
from typing import Any

import pytest

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import FailureReason, Outcome, RunState, StudyState, TrialState, WorkerId
from hpsearch.service import leases, studies, trials, workers
from hpsearch.tasks import COMMANDS, TASK_FILES
from hpsearch.wire import HeartbeatRequest, LeaseRequest, ReportRequest, RunReport


def test_a_grid_of_twelve_is_trained_once_each_by_two_workers(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    pair = [fleet.worker("one"), fleet.worker("two")]
    numbers: list[int] = []
    used: Counter[int] = Counter()
    while any(packs := [(worker, fleet.lease(worker)) for worker in pair]):
        if not any(pack for _, pack in packs):
            break
        for worker, pack in packs:
            for lease in pack:
                numbers.append(lease.number)
                used[worker.id] += 1
                fleet.report(worker.id, lease.run_id, make.done(seconds=0.01))
    assert sorted(numbers) == list(range(12))
    assert min(used[worker.id] for worker in pair) >= 3
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.COMPLETED
    assert study.trial_counts[TrialState.COMPLETED] == 12
    rates = {trial.params["learning_rate"] for trial in fleet.trials("grid")}
    assert rates == {1e-4, 1e-3, 1e-2, 1e-1}


def test_a_repeated_lease_request_gets_the_same_runs(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    first = fleet.lease(worker, request_id="the-same-request")
    again = fleet.lease(worker, request_id="the-same-request")
    assert first == again
    assert fleet.trials("grid")[0].epoch == 1


def test_a_request_id_whose_runs_ended_leases_anew(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    (first,) = fleet.lease(worker, request_id="the-same-request")
    fleet.report(worker.id, first.run_id, make.done())
    (second,) = fleet.lease(worker, request_id="the-same-request")
    assert second.number == 1


def test_a_report_of_anothers_run_is_lease_lost_and_stores_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    owner, thief = fleet.worker("owner"), fleet.worker("thief")
    lease = fleet.one(owner)
    assert fleet.report(thief.id, lease.run_id, make.done(0.99)).status == "lease_lost"
    assert fleet.trials("grid")[0].state is TrialState.RUNNING


def test_the_same_outcome_twice_is_stored_once(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert fleet.report(worker.id, lease.run_id, make.done(0.7)).status == "ok"
    assert fleet.report(worker.id, lease.run_id, make.done(0.7)).status == "ok"
    assert studies.get(fleet.db, "grid").trial_counts[TrialState.COMPLETED] == 1
    finished = [e for e in studies.events(fleet.db, "grid", after=0, limit=100) if e.kind == "trial_finished"]
    assert len(finished) == 1


def test_another_outcome_of_an_ended_run_is_refused_and_changes_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.report(worker.id, lease.run_id, make.done(0.7))
    assert fleet.report(worker.id, lease.run_id, make.done(0.9)).status == "refused"
    assert trials.get(fleet.db, lease.trial_id).value == 0.7
    assert fleet.trials("grid")[0].value == 0.7


def test_metrics_and_outcome_of_one_run_in_one_batch(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    worker = fleet.worker()
    lease = fleet.one(worker)
    reports = (
        RunReport(run_id=lease.run_id, seq=0, log="a"),
        RunReport(run_id=lease.run_id, seq=1, log="b", outcome=make.done()),
    )
    request = ReportRequest(worker_id=worker.id, reports=reports)
    for _ in range(2):  # the whole batch again: its first answer may have been lost
        answer = leases.report(fleet.db, request, now=fleet.clock.now)
        assert [result.status for result in answer.results] == ["ok", "ok"]
    assert trials.log(fleet.db, lease.trial_id)[0].text == "ab"


def test_two_last_results_that_arrive_together_end_the_study(fleet: Any, make: Any) -> None:
    for attempt in range(8):
        name = f"pair-{attempt}"
        fleet.study(make.small(name))
        pair = [fleet.worker("one"), fleet.worker("two")]
        runs = [(worker.id, fleet.one(worker).run_id) for worker in pair]
        together = threading.Barrier(2)
        errors: list[BaseException] = []

        def finish(worker_id: Any, run_id: Any, together: Any = together, errors: Any = errors) -> None:
            together.wait(timeout=10)
            try:
                fleet.report(worker_id, run_id, make.done())
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=finish, args=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        assert errors == []
        assert studies.get(fleet.db, name).state is StudyState.COMPLETED


def test_concurrent_leases_never_share_a_trial(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    crew = [fleet.worker(f"worker-{i}") for i in range(4)]
    taken: list[int] = []
    together = threading.Barrier(len(crew))

    def claim(worker: Any) -> None:
        together.wait(timeout=10)
        for i in range(3):
            request = LeaseRequest(worker_id=worker.id, request_id=f"claim-{worker.id}-{i}", max_trials=1)
            answer = leases.lease(fleet.db, request, now=fleet.clock.now)
            taken.extend(lease.number for lease in answer.leases)

    threads = [threading.Thread(target=claim, args=(worker,)) for worker in crew]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(taken) == list(range(12))


def test_a_heartbeat_renews_and_names_what_is_over(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker, other = fleet.worker("one"), fleet.worker("other")
    mine, theirs = fleet.one(worker), fleet.one(other)
    fleet.clock.advance(20)
    body = HeartbeatRequest(runs=(mine.run_id, theirs.run_id))
    answer = leases.heartbeat(fleet.db, worker.id, body, now=fleet.clock.now)
    assert answer.lost == (theirs.run_id,)
    assert answer.stop == ()
    (run,) = trials.runs(fleet.db, mine.trial_id)
    assert (run.lease_until - fleet.clock.now).total_seconds() == 30


def test_a_cpu_slot_gets_no_gpu_study(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(resources={"gpus": 1}))
    assert fleet.lease(fleet.worker("cpu")) == ()
    assert len(fleet.lease(fleet.worker("gpu", device="cuda"))) == 1


def test_a_study_with_labels_waits_for_a_worker_that_has_them(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(resources={"labels": ["a100"]}))
    assert fleet.lease(fleet.worker("plain")) == ()
    assert len(fleet.lease(fleet.worker("right", labels=("a100", "big")))) == 1


def test_a_command_goes_only_to_a_worker_that_runs_commands(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(task={"kind": "command", "argv": ["run", "{learning_rate}"]}))
    assert fleet.lease(fleet.worker("files", labels=(TASK_FILES,))) == ()
    (lease,) = fleet.lease(fleet.worker("both", labels=(TASK_FILES, COMMANDS)))
    assert lease.assignment.task.argv == ("run", "{learning_rate}")


def test_the_study_of_higher_priority_goes_first(fleet: Any, make: Any) -> None:
    fleet.study(make.small("low"))
    fleet.study(make.small("high", resources={"priority": 5}))
    assert fleet.one(fleet.worker()).study == "high"


def test_equal_studies_take_turns(fleet: Any, make: Any) -> None:
    fleet.study(make.grid("one"))
    fleet.study(make.grid("two"))
    worker = fleet.worker(slots=4)
    assert [fleet.one(worker).study for _ in range(4)] == ["one", "two", "one", "two"]


def test_packs_begin_when_the_pace_is_known_and_leave_each_slot_its_share(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    first, second = fleet.worker("one"), fleet.worker("two")
    pack = fleet.lease(first)
    assert len(pack) == 1
    fleet.report(first.id, pack[0].run_id, make.done(seconds=0.05))
    assert len(fleet.lease(first)) == 6  # of 11 that wait, for two slots
    assert len(fleet.lease(second)) == 3


def test_long_trials_travel_alone(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(seconds=5.0))
    assert len(fleet.lease(worker)) == 1


def test_a_trial_that_crashed_is_leased_alone(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(seconds=0.01))
    pack = fleet.lease(worker)
    assert len(pack) > 2
    fleet.report(worker.id, pack[0].run_id, make.failed(FailureReason.CRASHED))
    for lease in pack[1:]:
        fleet.report(worker.id, lease.run_id, Outcome(state="released"))
    suspect = fleet.lease(worker)
    assert [lease.number for lease in suspect] == [pack[0].number]
    assert len(fleet.lease(worker)) > 1


def test_a_draining_worker_gets_nothing_and_hears_of_it(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    workers.drain(fleet.db, "worker", now=fleet.clock.now)
    assert fleet.lease(worker) == ()
    assert leases.heartbeat(fleet.db, worker.id, HeartbeatRequest(), now=fleet.clock.now).drain


def test_an_unknown_worker_is_told_to_register(fleet: Any) -> None:
    request = LeaseRequest(worker_id=WorkerId(99), request_id="something")
    with pytest.raises(NotFound, match="no worker 99"):
        leases.lease(fleet.db, request, now=fleet.clock.now)


def test_a_new_incarnation_ends_the_old_ones_leases_at_once(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    old = fleet.worker("node")
    lease = fleet.one(old)
    new = fleet.worker("node")
    assert new.id != old.id
    trial = trials.get(fleet.db, lease.trial_id)
    assert trial.state is TrialState.WAITING
    assert (trial.rescues, trial.failures, trial.preemptions) == (1, 0, 0)
    assert trials.runs(fleet.db, lease.trial_id)[0].state is RunState.LOST
    assert fleet.report(old.id, lease.run_id, make.done()).status == "lease_lost"
    with pytest.raises(Conflict, match="taken over"):
        fleet.lease(old)
    again = fleet.one(new)
    assert (again.number, again.epoch) == (lease.number, 2)
    (shown,) = workers.list_all(fleet.db, now=fleet.clock.now).workers
    assert (shown.id, shown.running) == (new.id, 1)


def test_a_worker_unseen_for_three_leases_is_gone(fleet: Any) -> None:
    fleet.worker("node")
    fleet.clock.advance(91)
    (shown,) = workers.list_all(fleet.db, now=fleet.clock.now).workers
    assert shown.state == "gone"


def test_a_lease_that_waited_for_its_turn_begins_no_earlier_than_the_run_before_it_ended(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    first = fleet.one(worker)
    asked_at = fleet.clock.now
    fleet.clock.advance(20)
    fleet.report(worker.id, first.run_id, Outcome(state="released"))
    request = LeaseRequest(worker_id=worker.id, request_id="request-that-waited")
    leases.lease(fleet.db, request, now=asked_at, lease_seconds=30)
    before, after = trials.runs(fleet.db, first.trial_id)
    assert before.finished_at is not None
    assert after.started_at == before.finished_at
    assert (after.lease_until - after.started_at).total_seconds() == 30
