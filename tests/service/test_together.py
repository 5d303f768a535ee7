"""Leases, heartbeats and reports of several workers in one transaction: each as if it had been alone."""

from typing import Any

import pytest

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import TrialState, WorkerId
from hpsearch.service import leases, studies, trials
from hpsearch.service.heartbeats import Beat, heartbeat_all
from hpsearch.service.leases import lease_all
from hpsearch.service.reports import report_all
from hpsearch.store.engine import Database
from hpsearch.wire import HeartbeatResponse, LeaseRequest, ReportRequest, RunReport


def asks(worker_id: WorkerId, name: str = "", most: int = 1, slot: int = 0) -> LeaseRequest:
    request_id = name or f"request-of-{worker_id}"
    return LeaseRequest(worker_id=worker_id, request_id=request_id, max_trials=most, slot=slot)


def numbers(answer: Any) -> list[int]:
    return [lease.number for lease in answer.leases]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every transaction that writes."""
    seen: list[int] = []
    write = Database.write

    def counted(self: Database) -> Any:
        seen.append(1)
        return write(self)

    monkeypatch.setattr(Database, "write", counted)
    return seen


def test_workers_that_ask_together_are_given_the_first_trials_in_one_transaction(
    fleet: Any, make: Any, writes: list[int]
) -> None:
    fleet.study(make.grid())
    crew = [fleet.worker(f"worker-{i}") for i in range(3)]
    writes.clear()
    answers = lease_all(fleet.db, [asks(worker.id) for worker in crew], now=fleet.clock.now)
    assert [numbers(answer) for answer in answers] == [[0], [1], [2]]
    assert len(writes) == 1
    counts = studies.get(fleet.db, "grid").trial_counts
    assert (counts[TrialState.RUNNING], counts[TrialState.WAITING]) == (3, 9)
    held = [trials.runs(fleet.db, trial.id)[0].worker_id for trial in fleet.trials("grid")[:3]]
    assert held == [worker.id for worker in crew]


def test_packs_that_are_asked_for_together_share_no_trial(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    crew = [fleet.worker(f"worker-{i}") for i in range(2)]
    first = fleet.one(crew[0])
    fleet.report(crew[0].id, first.run_id, make.done(seconds=0.01))  # short: they travel in packs now
    answers = lease_all(fleet.db, [asks(worker.id, most=4) for worker in crew], now=fleet.clock.now)
    assert [numbers(answer) for answer in answers] == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_request_that_comes_twice_at_once_is_given_its_trials_once(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    twice = lease_all(fleet.db, [asks(worker.id), asks(worker.id)], now=fleet.clock.now)
    assert twice[0] == twice[1]
    assert numbers(twice[0]) == [0]
    assert studies.get(fleet.db, "grid").trial_counts[TrialState.RUNNING] == 1


def test_who_asks_wrongly_is_told_so_and_the_others_are_served(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    old = fleet.worker("node")
    new, other = fleet.worker("node"), fleet.worker("other")
    asked = [asks(WorkerId(99)), asks(old.id), asks(new.id, slot=7), asks(other.id)]
    unknown, gone, no_slot, served = lease_all(fleet.db, asked, now=fleet.clock.now)
    assert isinstance(unknown, NotFound)
    assert isinstance(gone, Conflict)
    assert isinstance(no_slot, NotFound)
    assert numbers(served) == [0]


def test_workers_of_different_kinds_are_each_given_what_they_may_take(fleet: Any, make: Any) -> None:
    fleet.study(make.small("for-gpus", resources={"gpus": 1, "priority": 5}))
    fleet.study(make.small("for-all"))
    cpu, gpu, second = fleet.worker("cpu"), fleet.worker("gpu", device="cuda"), fleet.worker("second")
    answers = lease_all(fleet.db, [asks(w.id) for w in (cpu, gpu, second)], now=fleet.clock.now)
    assert [answer.leases[0].study for answer in answers] == ["for-all", "for-gpus", "for-all"]  # type: ignore[union-attr]


def test_who_finds_nothing_left_in_the_first_study_is_served_from_the_next(fleet: Any, make: Any) -> None:
    fleet.study(make.small("first", resources={"priority": 5}))
    fleet.study(make.small("second"))
    crew = [fleet.worker(f"worker-{i}") for i in range(5)]
    answers = lease_all(fleet.db, [asks(worker.id) for worker in crew], now=fleet.clock.now)
    given = [[lease.study for lease in answer.leases] for answer in answers]  # type: ignore[union-attr]
    assert given == [["first"], ["first"], ["second"], ["second"], []]


def test_a_budget_of_trials_holds_among_those_who_ask_together(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"trials": 3}))
    crew = [fleet.worker(f"worker-{i}") for i in range(5)]
    answers = lease_all(fleet.db, [asks(worker.id) for worker in crew], now=fleet.clock.now)
    assert [numbers(answer) for answer in answers] == [[0], [1], [2], [], []]


def test_reports_that_arrive_together_are_fenced_and_answered_each_by_itself(
    fleet: Any, make: Any, writes: list[int]
) -> None:
    fleet.study(make.grid())
    owner, thief = fleet.worker("owner"), fleet.worker("thief")
    first, second = fleet.one(owner), fleet.one(thief)

    def result(worker: Any, run: int, value: float) -> ReportRequest:
        return ReportRequest(
            worker_id=worker.id, reports=(RunReport(run_id=run, seq=0, outcome=make.done(value)),)
        )

    writes.clear()
    stored = report_all(
        fleet.db,
        [
            result(thief, first.run_id, 9.0),
            result(owner, first.run_id, 0.5),
            result(owner, first.run_id, 0.5),  # repeated
            result(owner, first.run_id, 0.7),  # changed its mind
            result(thief, second.run_id, 0.8),
        ],
        now=fleet.clock.now,
    )
    assert [one.response.results[0].status for one in stored] == ["lease_lost", "ok", "ok", "refused", "ok"]
    assert len(writes) == 2  # the reports, and the event of the foreign one
    assert [trial.value for trial in fleet.trials("grid")[:2]] == [0.5, 0.8]
    assert studies.get(fleet.db, "grid").best_value == 0.8
    finished = [e for e in studies.events(fleet.db, "grid", after=0, limit=100) if e.kind == "trial_finished"]
    assert len(finished) == 2


def test_the_last_results_of_a_study_end_it_where_they_arrive_together(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    crew = [fleet.worker(f"worker-{i}") for i in range(2)]
    held = [(worker.id, fleet.one(worker).run_id) for worker in crew]
    requests = [
        ReportRequest(worker_id=worker_id, reports=(RunReport(run_id=run_id, seq=0, outcome=make.done()),))
        for worker_id, run_id in held
    ]
    report_all(fleet.db, requests, now=fleet.clock.now)
    assert studies.get(fleet.db, "small").state == "completed"
    assert leases.lease(fleet.db, asks(crew[0].id, "request-after"), now=fleet.clock.now).leases == ()


def test_heartbeats_that_come_together_are_heard_each_by_itself_in_one_transaction(
    fleet: Any, make: Any, writes: list[int]
) -> None:
    """One of two workers claims the other's run too; a third is unknown."""
    fleet.study(make.grid())
    one, other, foreign = fleet.worker("one"), fleet.worker("other"), WorkerId(77)
    mine, theirs = fleet.one(one), fleet.one(other)
    fleet.clock.advance(20)
    beats = [
        Beat(one.id, (mine.run_id, theirs.run_id)),
        Beat(foreign, (mine.run_id,)),
        Beat(other.id, ()),
        Beat(one.id, (mine.run_id,)),
    ]
    writes.clear()
    first, unknown, silent, again = heartbeat_all(fleet.db, beats, now=fleet.clock.now)
    assert isinstance(first, HeartbeatResponse)
    assert isinstance(unknown, NotFound)
    assert isinstance(silent, HeartbeatResponse)
    assert (first.lost, silent.lost) == ((theirs.run_id,), ())
    assert again == HeartbeatResponse(lost=(), stop=(), drain=False)
    assert len(writes) == 1
    left = [trials.runs(fleet.db, lease.trial_id)[0].lease_until for lease in (mine, theirs)]
    assert [(until - fleet.clock.now).total_seconds() for until in left] == [30, 10]
