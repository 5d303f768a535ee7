"""Leases: what workers are given, and how long they keep it. Reports on their runs are in `reports`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hpsearch.errors import Conflict, HpsearchError, NotFound, SpecUnreadable
from hpsearch.records import TokenId, WorkerId, WorkerState
from hpsearch.service import breaker, claims, ownership
from hpsearch.service.claims import Claimant
from hpsearch.service.heartbeats import LEASE_SECONDS, heartbeat
from hpsearch.service.reports import report
from hpsearch.store import past_runs, runs, studies, trials, workers
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.run_row import RunRow
from hpsearch.store.workers import WorkerRow
from hpsearch.wire import Lease, LeaseRequest, LeaseResponse

__all__ = ["LEASE_SECONDS", "heartbeat", "lease", "lease_all", "report"]

SEEN_SECONDS = 5.0  # how exactly `last_seen_at` follows a worker that leases all the time

Answer = LeaseResponse | HpsearchError


def lease(
    db: Database,
    request: LeaseRequest,
    *,
    now: datetime,
    lease_seconds: float = LEASE_SECONDS,
    paused: str = "",
    by: TokenId | None = None,
) -> LeaseResponse:
    """A pack of trials for one slot, empty where none waits; it does not wait itself.

    `paused`: why nothing new is handed out now, if so. `by`: the caller's token.

    The same `request_id` again returns the same leases while they are active. Raises NotFound for an unknown
    worker and Conflict for one whose name another daemon has taken over, or that is another token's.
    """
    (answer,) = lease_all(db, [request], by=[by], now=now, lease_seconds=lease_seconds, paused=paused)
    if isinstance(answer, HpsearchError):
        raise answer
    return answer


def lease_all(
    db: Database,
    requests: Sequence[LeaseRequest],
    *,
    by: Sequence[TokenId | None] | None = None,
    now: datetime,
    lease_seconds: float = LEASE_SECONDS,
    paused: str = "",
) -> list[Answer]:
    """`lease` for several slots, with what it would raise among the answers. Slots alike share a transaction.

    `by`: each caller's token, beside `requests`.
    """
    asked = list(zip(requests, by or [None] * len(requests), strict=True))
    answers: dict[int, Answer] = {}
    while len(answers) < len(requests):
        open_requests = {i: one for i, one in enumerate(asked) if i not in answers}
        answers |= _lease_some(db, open_requests, now=now, lease_seconds=lease_seconds, paused=paused)
    return [answers[i] for i in range(len(requests))]


@retried
def _lease_some(
    db: Database,
    requests: Mapping[int, tuple[LeaseRequest, TokenId | None]],
    *,
    now: datetime,
    lease_seconds: float,
    paused: str,
) -> dict[int, Answer]:
    """Answers by the requests' keys, in one transaction: of the first one, and of all that can share it.

    Of one worker's requests only the first: the next must see what it was given.
    """
    first_of: dict[WorkerId, int] = {}
    for key, (request, _) in requests.items():
        first_of.setdefault(request.worker_id, key)
    chosen = {key: requests[key] for key in first_of.values()}
    with db.write() as tx:
        asking = _Asking(tx, [request for request, _ in chosen.values()], now=now)
        found = {
            key: asking.hear(request, by, lease_seconds=lease_seconds, paused=paused)
            for key, (request, by) in chosen.items()
        }
        claimants = {key: one for key, one in found.items() if isinstance(one, Claimant)}
        answers = {key: one for key, one in found.items() if not isinstance(one, Claimant)}
        return answers | _claim(tx, claimants, now=now, lease_seconds=lease_seconds)


class _Asking:
    """The workers that ask in one transaction, locked, and what is known of them."""

    def __init__(self, tx: Transaction, requests: Sequence[LeaseRequest], *, now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._workers = workers.lock_all(tx, [request.worker_id for request in requests])
        self._held = runs.of_requests(tx, [(r.worker_id, r.request_id) for r in requests])
        self._suspects = breaker.suspects(tx, self._workers)

    def hear(
        self, request: LeaseRequest, by: TokenId | None, *, lease_seconds: float, paused: str
    ) -> Claimant | Answer:
        """Who may claim, or the answer where nothing is to be claimed."""
        try:
            return self._claimant(request, by, lease_seconds=lease_seconds, paused=paused)
        except (NotFound, Conflict, SpecUnreadable) as error:
            return error

    def _claimant(
        self, request: LeaseRequest, by: TokenId | None, *, lease_seconds: float, paused: str
    ) -> Claimant | LeaseResponse:
        worker = self._worker(request.worker_id, by)
        held = self._held.get((worker.id, request.request_id))
        if held:
            return LeaseResponse(leases=_again(self._tx, held, lease_seconds))
        if worker.worker.state is WorkerState.DRAINING:
            return LeaseResponse(leases=())
        if paused:
            return LeaseResponse(leases=(), detail=paused)
        most = request.max_trials
        if worker.id in self._suspects:
            suspended = breaker.suspension(self._tx, worker.id)
            if suspended is not None:
                if self._now < suspended.until or past_runs.has_active(self._tx, worker.id):
                    return LeaseResponse(leases=(), detail=suspended.told(worker.worker.name))
                most = 1
        _check_slot(worker, request.slot)
        return Claimant(worker, request.slot, request.request_id, most)

    def _worker(self, worker_id: WorkerId, by: TokenId | None) -> WorkerRow:
        worker = ownership.known(self._workers, worker_id, by)
        if worker.worker.state is WorkerState.GONE:
            raise Conflict(
                f"worker {worker.worker.name!r} was taken over by a newer daemon of that name",
                hint="give each daemon its own --name",
            )
        if (self._now - worker.worker.last_seen_at).total_seconds() > SEEN_SECONDS:
            workers.seen(self._tx, [worker.id], now=self._now)
        return worker


def _check_slot(worker: WorkerRow, index: int) -> None:
    slots = worker.worker.slots
    if index >= len(slots):
        raise NotFound(
            f"worker {worker.worker.name!r} has no slot {index}", hint=f"it registered {len(slots)} slots"
        )


def _claim(
    tx: Transaction, claimants: Mapping[int, Claimant], *, now: datetime, lease_seconds: float
) -> dict[int, LeaseResponse]:
    """Trials of the first study that has some for the first claimant, for it and for those like it.

    Whom it does not suffice for, and who is of another kind, is not among the answers: one transaction keeps to
    one study, lest two of them wait for each other's.
    """
    first = next(iter(claimants.values()), None)
    if first is None:
        return {}
    alike = {key: claimant for key, claimant in claimants.items() if claimant.like(first)}
    for study_id in studies.claimable(tx, gpu=first.gpu, labels=first.worker.labels):
        given = claims.claim(tx, study_id, list(alike.values()), now=now, lease_seconds=lease_seconds)
        if any(given):
            return {key: LeaseResponse(leases=pack) for key, pack in zip(alike, given, strict=True) if pack}
    return {key: LeaseResponse(leases=()) for key in alike}


def _again(tx: Transaction, held: Sequence[RunRow], lease_seconds: float) -> tuple[Lease, ...]:
    """The leases of a request that was answered before."""
    study = studies.get(tx, held[0].study_id)
    assert study is not None
    known = trials.of_ids(tx, [row.run.trial_id for row in held])
    return tuple(
        claims.lease_of(tx, study, known[row.run.trial_id], row.id, row.run.epoch, lease_seconds)
        for row in held
    )
