"""A study whose spec this version can't read, as of a newer server in a rolling upgrade: it is left alone."""

import logging
from typing import Any

import pytest

from hpsearch.errors import SpecUnreadable
from hpsearch.records import FailureReason, RunState, StudyState, TrialState
from hpsearch.service import etas, leases, reaper, studies, trials
from hpsearch.store import studies as rows
from hpsearch.store import study_row
from hpsearch.wire import LeaseRequest


def set_spec(fleet: Any, key: str, **changes: Any) -> None:
    study = studies.get(fleet.db, key)
    spec = studies.merged(study.spec, changes)
    with fleet.db.write() as tx:
        rows.change(tx, study.id, spec=spec)


def made_unreadable(fleet: Any, key: str) -> None:
    """What a newer version might have stored."""
    set_spec(fleet, key, colour="blue")


def ticks(fleet: Any, seconds: int) -> int:
    """One every two seconds; returns how many leases were lost."""
    now = fleet.clock
    return sum(
        reaper.tick(fleet.db, now=now.advance(2), monotonic=now.now.timestamp()) for _ in range(0, seconds, 2)
    )


def test_workers_lease_of_the_other_studies(fleet: Any, make: Any) -> None:
    fleet.study(make.small("newer", resources={"priority": 5}))
    fleet.study(make.small("fine"))
    made_unreadable(fleet, "newer")
    assert [lease.study for lease in fleet.train_all(fleet.worker(), lambda _: make.done())] == ["fine"] * 2
    assert studies.get(fleet.db, "newer").trial_counts[TrialState.WAITING] == 2


def test_a_lease_that_is_asked_for_again_is_refused_for_now_and_kept(fleet: Any, make: Any) -> None:
    fleet.study(make.small("newer"))
    worker = fleet.worker()
    (lease,) = fleet.lease(worker, request_id="request-again", most=1)
    made_unreadable(fleet, "newer")
    again = LeaseRequest(worker_id=worker.id, request_id="request-again", max_trials=1)
    with pytest.raises(SpecUnreadable):
        leases.lease(fleet.db, again, now=fleet.clock.now)
    set_spec(fleet, "newer", colour=None)
    assert leases.lease(fleet.db, again, now=fleet.clock.now).leases[0].run_id == lease.run_id


def test_its_results_and_failures_are_stored_and_nothing_is_planned_or_ended(fleet: Any, make: Any) -> None:
    fleet.study(make.small("newer", points=3, max_failures=1))
    worker = fleet.worker()
    first, second, third = (fleet.one(worker) for _ in range(3))
    made_unreadable(fleet, "newer")
    assert fleet.report(worker.id, first.run_id, make.done(0.7)).status == "ok"
    assert fleet.report(worker.id, second.run_id, make.failed(FailureReason.OOM)).status == "ok"
    assert fleet.report(worker.id, third.run_id, make.done(0.6)).status == "ok"
    ticks(fleet, 10)
    study = studies.get(fleet.db, "newer")
    assert (study.state, study.best_value) == (StudyState.RUNNING, 0.7)
    set_spec(fleet, "newer", colour=None)  # a server that can read it
    ticks(fleet, 2)
    assert studies.get(fleet.db, "newer").state is StudyState.COMPLETED


def test_the_reaper_ends_its_dead_leases_and_those_of_the_others(fleet: Any, make: Any) -> None:
    fleet.study(make.small("newer", budget={"minutes": 10}))
    fleet.study(make.small("fine", budget={"minutes": 10}))
    lost = [fleet.one(fleet.worker("one")), fleet.one(fleet.worker("two"))]
    assert {lease.study for lease in lost} == {"newer", "fine"}
    made_unreadable(fleet, "newer")
    assert ticks(fleet, 34) == 2
    for lease in lost:
        assert trials.runs(fleet.db, lease.trial_id)[0].state is RunState.LOST
    ticks(fleet, 600)
    assert studies.get(fleet.db, "fine").state is StudyState.STOPPED
    assert studies.get(fleet.db, "newer").state is StudyState.RUNNING


def test_it_can_be_cancelled_and_deleted(fleet: Any, make: Any) -> None:
    fleet.study(make.small("older"))
    made_unreadable(fleet, "older")
    assert studies.cancel(fleet.db, "older", now=fleet.clock.now).state is StudyState.CANCELLED
    studies.delete(fleet.db, "older")


def test_who_asks_for_it_reads_why_in_a_sentence_and_the_log_has_it_once(
    fleet: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.study(make.small("newer"))
    fleet.study(make.small("fine"))
    made_unreadable(fleet, "newer")
    study_row._parsed.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(SpecUnreadable, match=r"study 'newer' has a spec .* unknown key 'colour'"):
                studies.best(fleet.db, "newer", 1)
        ticks(fleet, 10)
    assert [record.message.count("newer") for record in caplog.records] == [1]
    known = etas.of_studies(fleet.db, studies.page(fleet.db).studies, now=fleet.clock.now)
    assert set(known) == {studies.get(fleet.db, "fine").id}


def test_the_reaper_goes_on_behind_a_study_that_it_fails_at(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = fleet.study(make.small("broken"))
    fleet.study(make.small("fine"))
    lost = [fleet.one(fleet.worker("one")), fleet.one(fleet.worker("two"))]
    advance = reaper.advance

    def failing(tx: Any, study_id: Any, *, now: Any) -> None:
        if study_id == broken.id:
            raise RuntimeError("a bug")
        advance(tx, study_id, now=now)

    monkeypatch.setattr(reaper, "advance", failing)
    assert ticks(fleet, 34) == 1
    assert f"study {broken.id}" in caplog.text
    assert "a bug" in caplog.text
    states = {lease.study: trials.get(fleet.db, lease.trial_id).state for lease in lost}
    assert states == {"broken": TrialState.RUNNING, "fine": TrialState.WAITING}
