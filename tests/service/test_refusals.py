from typing import Any

from hpsearch.records import RunId, TokenId
from hpsearch.service import refusals, studies
from hpsearch.service.refusals import Refusal
from hpsearch.store import runs


def refusals_of(fleet: Any, key: str) -> list[Any]:
    told = studies.events(fleet.db, key, after=0, limit=100)
    return [event.data for event in told if event.kind == refusals.KIND]


def refusal(fleet: Any, run_id: RunId, token: int = 7) -> Refusal:
    with fleet.db.read() as tx:
        (row,) = runs.lock(tx, [run_id]).values()
    return Refusal(row, "report", fleet.worker("thief").id, TokenId(token))


def test_what_a_caller_repeats_is_kept_once_a_minute(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker("owner")
    first, second = (refusal(fleet, fleet.one(worker).run_id, token) for token in (7, 8))
    for one in (first, first, second, second, first):
        refusals.record(fleet.db, [one], now=fleet.clock.now)
    assert refusals_of(fleet, "grid") == [first.told(), second.told()]
    fleet.clock.advance(61)
    refusals.record(fleet.db, [second, first, second], now=fleet.clock.now)
    assert refusals_of(fleet, "grid")[2:] == [second.told(), first.told()]


def test_a_flood_of_callers_leaves_a_few_events_a_minute(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    run = fleet.one(fleet.worker("owner")).run_id
    flood = [refusal(fleet, run, token) for token in range(30)]
    refusals.record(fleet.db, flood, now=fleet.clock.now)
    refusals.record(fleet.db, flood, now=fleet.clock.now)
    assert len(refusals_of(fleet, "grid")) == refusals.MOST_A_MINUTE


def test_a_refusal_of_a_study_that_is_gone_is_kept_nowhere(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker("owner")
    leased = fleet.one(worker)
    one = refusal(fleet, leased.run_id)
    fleet.report(worker.id, leased.run_id, make.done())
    studies.cancel(fleet.db, "grid", now=fleet.clock.now)
    studies.delete(fleet.db, "grid")
    refusals.record(fleet.db, [one], now=fleet.clock.now)
    fleet.study(make.grid())
    assert refusals_of(fleet, "grid") == []
