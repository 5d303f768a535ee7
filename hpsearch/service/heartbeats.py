"""Heartbeats: workers renew their leases, those that beat at once in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpsearch.errors import Conflict, HpsearchError, NotFound
from hpsearch.records import RunId, TokenId, WorkerId, WorkerState
from hpsearch.service import ownership
from hpsearch.store import runs, workers
from hpsearch.store.engine import Database, retried
from hpsearch.store.workers import WorkerRow
from hpsearch.wire import HeartbeatRequest, HeartbeatResponse

LEASE_SECONDS = 30.0

Answer = HeartbeatResponse | HpsearchError


@dataclass(frozen=True)
class Beat:
    """`by`: the caller's token."""

    worker_id: WorkerId
    runs: tuple[RunId, ...]
    by: TokenId | None = None


def heartbeat(
    db: Database,
    worker_id: WorkerId,
    body: HeartbeatRequest,
    *,
    by: TokenId | None = None,
    now: datetime,
    lease_seconds: float = LEASE_SECONDS,
) -> HeartbeatResponse:
    """Renew the leases that the worker holds to `now + lease_seconds`; say which are over and which to end.

    Raises NotFound for an unknown worker and Conflict for one that is another token's than `by`.
    """
    (answer,) = heartbeat_all(db, [Beat(worker_id, body.runs, by)], now=now, lease_seconds=lease_seconds)
    if isinstance(answer, HpsearchError):
        raise answer
    return answer


@retried
def heartbeat_all(
    db: Database, beats: Sequence[Beat], *, now: datetime, lease_seconds: float = LEASE_SECONDS
) -> list[Answer]:
    """`heartbeat` of several workers, with what it would raise among the answers."""
    with db.write() as tx:
        known = workers.lock_all(tx, {beat.worker_id for beat in beats})
        refused = {at: error for at, beat in enumerate(beats) if (error := _refusal(known, beat)) is not None}
        heard = [beat for at, beat in enumerate(beats) if at not in refused]
        if heard:
            workers.seen(tx, {beat.worker_id for beat in heard}, now=now)
        claimed = {(beat.worker_id, run_id) for beat in heard for run_id in beat.runs}
        held = runs.stop_states(tx, claimed) if claimed else {}
        if held:
            renewed = [run_id for _, run_id in held]
            runs.renew(tx, renewed, lease_until=now + timedelta(seconds=lease_seconds))
    return [refused.get(at) or _answer(beat, known, held) for at, beat in enumerate(beats)]


def _refusal(known: Mapping[WorkerId, WorkerRow], beat: Beat) -> HpsearchError | None:
    try:
        ownership.known(known, beat.worker_id, beat.by)
    except (NotFound, Conflict) as error:
        return error
    return None


def _answer(
    beat: Beat, known: Mapping[WorkerId, WorkerRow], held: Mapping[tuple[WorkerId, RunId], bool]
) -> HeartbeatResponse:
    mine = {run_id: held.get((beat.worker_id, run_id)) for run_id in beat.runs}
    return HeartbeatResponse(
        lost=tuple(run_id for run_id, stop in mine.items() if stop is None),
        stop=tuple(run_id for run_id, stop in mine.items() if stop),
        drain=known[beat.worker_id].worker.state is not WorkerState.ACTIVE,
    )
