"""The reaper: ends leases that ran out and wakes studies. Runs always; any number of them is harmless."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from hpsearch.errors import Unavailable
from hpsearch.records import FailureReason, RunId, RunState, StudyId
from hpsearch.service import budgets, outcomes
from hpsearch.service.advance import advance
from hpsearch.service.clock import steady_clock_name
from hpsearch.service.leases import LEASE_SECONDS
from hpsearch.store import runs, studies, ticks, trials
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.run_row import RunRow
from hpsearch.store.ticks import Tick

log = logging.getLogger(__name__)

R = TypeVar("R")

GONE_AFTER = timedelta(days=1)  # a server that has not ticked for so long


def tick(
    db: Database,
    *,
    now: datetime,
    monotonic: float,
    lease_seconds: float = LEASE_SECONDS,
    server: str | None = None,
) -> int:
    """End what has expired, plan what is due; returns how many leases were lost.

    `monotonic`: seconds of this machine's steady clock, by which a jump of the wall clock is told. After a
    jump, or an outage of all servers, live leases are first extended by one lease: their workers may live.
    `server`: whose steady clock that is, by default this machine's.
    """
    _note(db, server or steady_clock_name(), Tick(now, monotonic), lease_seconds)
    with db.read() as tx:
        expired = runs.studies_with_expired(tx, now=now)
        due = studies.due(tx, now=now)
    lost = sum(_each(expired, lambda study_id: _reap(db, study_id, now=now)))
    _each(due, lambda study_id: _advance(db, study_id, now=now))
    return lost


def _each(study_ids: Sequence[StudyId], work: Callable[[StudyId], R]) -> list[R]:
    """What the work returns, without the studies at which it fails: the next tick tries these again."""
    done = []
    for study_id in study_ids:
        try:
            done.append(work(study_id))
        except Unavailable as away:
            log.warning("study %s waits for the next tick: %s", study_id, away)
        except Exception:  # a bug of ours at one study must not strand the trials of all
            log.exception("the reaper failed at study %s", study_id)
    return done


@retried
def _note(db: Database, server: str, this: Tick, lease_seconds: float) -> None:
    """Record the tick; where time was lost since the last one, give every live lease a new term."""
    with db.write() as tx:
        if _time_was_lost(tx, server, this, lease_seconds):
            runs.renew_all(tx, lease_until=this.wall + timedelta(seconds=lease_seconds))
        if ticks.last(tx, server) is None:
            ticks.forget(tx, before=this.wall - GONE_AFTER)
        ticks.record(tx, server, this)


def _time_was_lost(tx: Transaction, server: str, this: Tick, lease_seconds: float) -> bool:
    # Extending at every start instead would let a server that crashes in a loop strand dead workers' trials.
    most = timedelta(seconds=lease_seconds / 2)
    newest = ticks.newest_wall(tx, until=this.wall)
    if newest is not None and this.wall - newest > most:
        return True
    last = ticks.last(tx, server)
    if last is None:
        # There is no steady clock to compare with yet. Ticks ahead of this one tell of a clock that was set back.
        return ticks.any_after(tx, this.wall + most)
    drift = (this.wall - last.wall) - timedelta(seconds=this.monotonic - last.monotonic)
    return abs(drift) > most


@retried
def _reap(db: Database, study_id: StudyId, *, now: datetime) -> int:
    """One study's expired leases: run, trial, accounts and event in one transaction."""
    with db.write() as tx:
        if studies.lock(tx, study_id) is None:
            return 0
        # Asked again under the lock: a heartbeat may have come in between.
        expired = runs.lock_expired(tx, study_id, now=now)
        blamed = first_of_each_pack(expired)
        lose_runs(tx, expired, blamed=blamed, why="its worker fell silent", now=now)
        advance(tx, study_id, now=now)
        return len(expired)


@retried
def _advance(db: Database, study_id: StudyId, *, now: datetime) -> None:
    with db.write() as tx:
        advance(tx, study_id, now=now)


def first_of_each_pack(rows: Sequence[RunRow]) -> set[RunId]:
    """What each pack was training: packs are trained in the order of their runs, the others had not begun."""
    return set({(row.run.worker_id, row.request_id): row.id for row in reversed(rows)}.values())


def lose_runs(
    tx: Transaction, rows: Sequence[RunRow], *, blamed: Collection[RunId], why: str, now: datetime
) -> None:
    """End runs whose worker is gone. `blamed`: those in progress, which may have been its end."""
    for row in rows:
        study = studies.lock(tx, row.study_id)
        trial = trials.get(tx, row.run.trial_id)
        assert study is not None
        assert trial is not None
        reason = FailureReason.CRASHED if row.id in blamed else None
        ended = runs.end(tx, row, RunState.LOST, reason=reason, message=why, now=now)
        budgets.book(tx, study, ended, now=now)
        outcomes.lose(tx, study, trial, charged=row.id in blamed, stopped=row.stop, why=why, now=now)
        ids = {"study": row.study_id, "trial": trial.id, "run": row.id, "worker": row.run.worker_id}
        log.info("run lost", extra={**ids, "why": why, "charged": row.id in blamed})
