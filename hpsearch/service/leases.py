"""Leases: what a worker is given, and how long it keeps it. Reports on its runs are in `reports`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import (
    Checkpoint,
    RunId,
    Slot,
    StudyId,
    StudyState,
    Trial,
    TrialState,
    WorkerId,
    WorkerState,
)
from hpsearch.service import breaker, budgets
from hpsearch.service.packs import fair_share, kind_of_work, most_by_time
from hpsearch.service.reports import report
from hpsearch.spec import StudySpec
from hpsearch.store import checkpoints, past_runs, runs, studies, trials, workers
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.runs import NewRun, RunRow
from hpsearch.store.studies import StudyRow
from hpsearch.store.workers import WorkerRow
from hpsearch.wire import (
    Assignment,
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    LeaseRequest,
    LeaseResponse,
)

__all__ = ["heartbeat", "lease", "report"]

LEASE_SECONDS = 30.0
SEEN_SECONDS = 5.0  # how exactly `last_seen_at` follows a worker that leases all the time
GONE_AFTER_LEASES = 3  # unseen for so many leases, a worker no longer counts


@retried
def lease(
    db: Database,
    request: LeaseRequest,
    *,
    now: datetime,
    lease_seconds: float = LEASE_SECONDS,
    paused: str = "",
) -> LeaseResponse:
    """A pack of trials for one slot, empty where none waits; it does not wait itself.

    `paused`: why nothing new is handed out now, if so.

    The same `request_id` again returns the same leases while they are active. Raises NotFound for an unknown
    worker and Conflict for one whose name another daemon has taken over.
    """
    with db.write() as tx:
        worker = _worker(tx, request.worker_id)
        if worker.worker.state is WorkerState.GONE:
            raise Conflict(
                f"worker {worker.worker.name!r} was taken over by a newer daemon of that name",
                hint="give each daemon its own --name",
            )
        if (now - worker.worker.last_seen_at).total_seconds() > SEEN_SECONDS:
            workers.seen(tx, worker.id, now=now)
        held = runs.of_request(tx, worker.id, request.request_id)
        if held:
            return LeaseResponse(leases=_again(tx, held, lease_seconds))
        if worker.worker.state is WorkerState.DRAINING:
            return LeaseResponse(leases=())
        if paused:
            return LeaseResponse(leases=(), detail=paused)
        suspended = breaker.suspension(tx, worker.id)
        if suspended is not None:
            if now < suspended.until or past_runs.has_active(tx, worker.id):
                return LeaseResponse(leases=(), detail=suspended.told(worker.worker.name))
            request = request.model_copy(update={"max_trials": 1})
        return LeaseResponse(leases=_claim(tx, worker, request, now=now, lease_seconds=lease_seconds))


@retried
def heartbeat(
    db: Database,
    worker_id: WorkerId,
    body: HeartbeatRequest,
    *,
    now: datetime,
    lease_seconds: float = LEASE_SECONDS,
) -> HeartbeatResponse:
    """Renew the leases that the worker holds to `now + lease_seconds`; say which are over and which to end."""
    with db.write() as tx:
        worker = _worker(tx, worker_id)
        workers.seen(tx, worker_id, now=now)
        held = runs.stop_states(tx, worker_id, body.runs)
        runs.renew(tx, held, lease_until=now + timedelta(seconds=lease_seconds))
        return HeartbeatResponse(
            lost=tuple(run_id for run_id in body.runs if run_id not in held),
            stop=tuple(run_id for run_id, stop in held.items() if stop),
            drain=worker.worker.state is not WorkerState.ACTIVE,
        )


def _worker(tx: Transaction, worker_id: WorkerId) -> WorkerRow:
    worker = workers.lock(tx, worker_id)
    if worker is None:
        raise NotFound(f"no worker {worker_id}", hint="register it again")
    return worker


def _claim(
    tx: Transaction, worker: WorkerRow, request: LeaseRequest, *, now: datetime, lease_seconds: float
) -> tuple[Lease, ...]:
    """Trials of the first study that has some for this slot."""
    slot = _slot(worker, request.slot)
    for study_id in studies.claimable(tx, gpu=slot.device != "cpu", labels=worker.labels):
        leases = _claim_from(tx, study_id, worker, request, now=now, lease_seconds=lease_seconds)
        if leases:
            return leases
    return ()


def _slot(worker: WorkerRow, index: int) -> Slot:
    slots = worker.worker.slots
    if index >= len(slots):
        raise NotFound(
            f"worker {worker.worker.name!r} has no slot {index}", hint=f"it registered {len(slots)} slots"
        )
    return slots[index]


def _claim_from(
    tx: Transaction,
    study_id: StudyId,
    worker: WorkerRow,
    request: LeaseRequest,
    *,
    now: datetime,
    lease_seconds: float,
) -> tuple[Lease, ...]:
    study = studies.lock(tx, study_id)
    if study is None or study.state is not StudyState.RUNNING:
        return ()
    spec = study.spec
    left = budgets.trials_left(study, spec)
    if budgets.spent(tx, study, spec, now=now) is not None and left != 0:
        return ()
    seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * lease_seconds)
    pack = _pack(tx, study, request.max_trials, left, seen_since=seen_since)
    if not pack:
        return ()
    ended = past_runs.last_ends(tx, [trial.id for trial in pack if trial.epoch])
    trials.claim(tx, [trial.id for trial in pack], now=now)
    _count(tx, study, spec, pack, now=now)
    ids = runs.insert_runs(
        tx,
        [NewRun(trial.id, trial.epoch + 1, ended.get(trial.id)) for trial in pack],
        study_id=study.id,
        worker_id=worker.id,
        slot=request.slot,
        request_id=request.request_id,
        lease_until=now + timedelta(seconds=lease_seconds),
        now=now,
    )
    return tuple(
        _lease(tx, study, spec, trial, run_id, trial.epoch + 1, lease_seconds)
        for trial, run_id in zip(pack, ids, strict=True)
    )


def _pack(
    tx: Transaction, study: StudyRow, most: int, left: int | None, *, seen_since: datetime
) -> list[Trial]:
    """Waiting trials that travel together: of one kind, none of them suspected of killing its process."""
    if left == 0:
        # Only trials that ran before are still free.
        return [trial for trial in trials.waiting(tx, study.id, most) if trial.epoch][:1]
    pack = trials.waiting(tx, study.id, 1)
    if not pack or pack[0].rescues:
        return pack
    first = pack[0]
    size = min(most, most_by_time(study.pace, first.program, first.budget), left or most)
    if size > 1:
        slots = workers.slots_in_service(tx, seen_since=seen_since)
        size = min(size, fair_share(waiting=study.waiting, slots=slots))
    if size == 1:
        return pack
    kind, _ = kind_of_work(first.program, first.budget)
    waiting = trials.waiting(tx, study.id, size)
    return [t for t in waiting if not t.rescues and kind_of_work(t.program, t.budget)[0] == kind]


def _count(
    tx: Transaction, study: StudyRow, spec: StudySpec, pack: Sequence[Trial], *, now: datetime
) -> None:
    also = {}
    if study.deadline is None and spec.budget.minutes is not None:
        also["deadline"] = budgets.deadline(spec, now=now)
    studies.count_trials(
        tx,
        study.id,
        {TrialState.WAITING: -len(pack), TrialState.RUNNING: len(pack)},
        started=sum(trial.epoch == 0 for trial in pack),
        also=also,
    )


def _again(tx: Transaction, held: Sequence[RunRow], lease_seconds: float) -> tuple[Lease, ...]:
    """The leases of a request that was answered before."""
    study = studies.lock(tx, held[0].study_id)
    assert study is not None
    spec = study.spec
    leases = []
    for row in held:
        trial = trials.get(tx, row.run.trial_id)
        assert trial is not None
        leases.append(_lease(tx, study, spec, trial, row.id, row.run.epoch, lease_seconds))
    return tuple(leases)


def _lease(
    tx: Transaction,
    study: StudyRow,
    spec: StudySpec,
    trial: Trial,
    run_id: RunId,
    epoch: int,
    lease_seconds: float,
) -> Lease:
    program = trial.program
    whole = program.kind == "train" and program.subset_batches is None and not program.test
    return Lease(
        run_id=run_id,
        study=study.study.name,
        trial_id=trial.id,
        number=trial.number,
        epoch=epoch,
        assignment=Assignment(
            task=spec.task,
            fixed=spec.fixed,
            params=trial.params,
            program=program,
            replicate=trial.replicate,
            budget=trial.budget,
            objective=spec.objective,
            seed=spec.seed,
        ),
        start=_start(tx, trial),
        # Only a recipe trains the same point longer, in epochs: a later rung, round or the final run.
        keep_last=spec.method == "recipe"
        and whole
        and trial.budget is not None
        and trial.budget.steps is None,
        lease_seconds=lease_seconds,
    )


def _start(tx: Transaction, trial: Trial) -> Checkpoint | None:
    """Where training may go on: its own newest state, else that of the trial it continues."""
    own = checkpoints.newest(tx, trial.id, "last") if trial.epoch else None
    if own is not None:
        return own.checkpoint
    if trial.continues is None:
        return None
    before = trials.get(tx, trial.continues)
    if before is None or before.state is not TrialState.COMPLETED:
        return None
    stored = checkpoints.newest(tx, before.id, "last")
    return None if stored is None else stored.checkpoint
