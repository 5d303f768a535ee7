"""What `hpsearch.eta` asks: what slots have done for a study, what they hold, what waits, and who takes it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpsearch.eta import NO_WORKER, Busy, Done, Eta, Outlook, Work, estimate
from hpsearch.records import Study, StudyId, StudyState, Trial, TrialId, TrialState, WorkerId, WorkerState
from hpsearch.samplers.methods import PLAIN
from hpsearch.service import breaker, budgets, lookup
from hpsearch.service.claims import GONE_AFTER_LEASES
from hpsearch.service.leases import LEASE_SECONDS
from hpsearch.service.packs import kind_of_work
from hpsearch.store import past_runs, studies, trials, workers
from hpsearch.store.engine import Database, Transaction
from hpsearch.store.run_row import RunRow
from hpsearch.store.study_row import StudyRow
from hpsearch.store.workers import WorkerRow
from hpsearch.tasks import COMMANDS, TASK_FILES

LOOKED_AT = 40  # of the last results: what work costs
READ = 200  # of the trials that wait; the others are like these
UNDER_WAY = (StudyState.RUNNING, StudyState.PAUSED, StudyState.STOPPING)
Slot = tuple[WorkerId, int]


def of_study(db: Database, key: str, *, now: datetime, lease_seconds: float = LEASE_SECONDS) -> Eta:
    """The time left of a study. Raises NotFound."""
    with db.read() as tx:
        study = lookup.study(tx, key)
        return _eta(tx, study, _Slots(tx, now, lease_seconds), now=now)


def of_studies(
    db: Database, shown: Iterable[Study], *, now: datetime, lease_seconds: float = LEASE_SECONDS
) -> dict[StudyId, Eta]:
    """The same of those that are under way and can be read."""
    wanted = [study.id for study in shown if study.state in UNDER_WAY]
    if not wanted:
        return {}
    with db.read() as tx:
        slots = _Slots(tx, now, lease_seconds)
        rows = (studies.get(tx, study_id) for study_id in wanted)
        return {row.id: _eta(tx, row, slots, now=now) for row in rows if row is not None and row.readable}


class _Slots:
    """Every slot of the workers that take work, and for which study each trains now."""

    def __init__(self, tx: Transaction, now: datetime, lease_seconds: float) -> None:
        seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * lease_seconds)
        self._live = [
            row
            for row in workers.current(tx)
            if row.worker.state is WorkerState.ACTIVE and row.worker.last_seen_at >= seen_since
        ]
        suspects = breaker.suspects(tx, [row.id for row in self._live])
        self._takers = [row for row in self._live if row.id not in suspects or not _suspended(tx, row, now)]
        self._busy = past_runs.busy_slots(tx)

    def able(self, study: StudyRow) -> set[Slot]:
        """Slots that may take the study's trials."""
        labels = set(study.labels)
        return {
            (row.id, place)
            for row in self._takers
            if labels.issubset(row.labels)
            for place, slot in enumerate(row.worker.slots)
            if not study.gpus or slot.device != "cpu"
        }

    def lacking(self, study: StudyRow) -> str:
        """What the workers lack where none is able."""
        labels = set(study.labels)
        fit = [row for row in self._live if labels.issubset(row.labels)]
        if not self._live:
            return NO_WORKER
        if not fit:
            return f"{NO_WORKER} {_with(labels)}"
        if study.gpus and all(slot.device == "cpu" for row in fit for slot in row.worker.slots):
            return f"{NO_WORKER} with a GPU"
        return "the workers that could take it are suspended, `hpsearch worker list` shows them"

    def training(self, slot: Slot) -> bool:
        return slot in self._busy


def _with(labels: set[str]) -> str:
    """What a worker must have been started with."""
    if COMMANDS in labels:
        return "started with --tasks FOLDER --allow-commands"
    own = sorted(labels - {TASK_FILES})
    return f"labelled {', '.join(own)}" if own else "started with --tasks FOLDER"


def _suspended(tx: Transaction, row: WorkerRow, now: datetime) -> bool:
    found = breaker.suspension(tx, row.id)
    return found is not None and now < found.until


def _eta(tx: Transaction, study: StudyRow, slots: _Slots, *, now: datetime) -> Eta:
    if study.state not in UNDER_WAY or study.waiting + study.running == 0:
        return Eta()
    able = slots.able(study)
    packs = _packs(tx, study, now=now)
    busy = [Busy(pack.held, pack.elapsed, pack.slot in able) for pack in packs]
    free = able - {pack.slot for pack in packs}
    idle = sum(not slots.training(slot) for slot in free)
    waiting, unread = _waiting(tx, study)
    stays = idle + sum(slot.stays for slot in busy)
    found = estimate(
        Outlook(
            done=_done(tx, study),
            busy=busy,
            waiting=waiting,
            unread=unread,
            idle=idle,
            elsewhere=len(free) - idle,
            limit=_limit(tx, study, stays, now=now),
            paused=study.state is StudyState.PAUSED,
            whole=study.state is StudyState.STOPPING
            or (study.spec.method in PLAIN and study.study.examines is None),
        )
    )
    return Eta(reason=slots.lacking(study)) if found.reason == NO_WORKER and not able else found


# --- what was done -------------------------------------------------------------------------------


def _done(tx: Transaction, study: StudyRow) -> list[Done]:
    """What the last packs trained and how long each held its slot, by the server's clock."""
    runs = past_runs.last_results(tx, study.id, LOOKED_AT)
    known = trials.of_ids(tx, [row.run.trial_id for row in runs])
    packs: dict[tuple[WorkerId, str], list[RunRow]] = {}
    for row in runs:
        packs.setdefault((row.run.worker_id, row.request_id), []).append(row)
    if len(runs) == LOOKED_AT and len(packs) > 1:
        del packs[(runs[-1].run.worker_id, runs[-1].request_id)]  # its beginning may lie further back
    measured = (_measured([(row, known[row.run.trial_id]) for row in pack]) for pack in packs.values())
    return [one for one in measured if one is not None]


def _measured(pack: Sequence[tuple[RunRow, Trial]]) -> Done | None:
    """A pack, whose trials are of one kind; None where it can't be said how much work that was."""
    units = [trained(trial) for _, trial in pack]
    ends = [row.run.finished_at for row, _ in pack if row.run.finished_at is not None]
    if not ends or any(one is None for one in units):
        return None
    kind, _ = kind_of_work(pack[0][1].program, pack[0][1].budget)
    took = (max(ends) - min(row.run.started_at for row, _ in pack)).total_seconds()
    training = sum(trial.measurement("seconds") for _, trial in pack)
    return Done(
        work=Work(kind, sum(one or 0.0 for one in units)),
        took=took,
        trials=len(pack),
        training=training if math.isfinite(training) and training > 0 else None,
    )


def trained(trial: Trial) -> float | None:
    """How many units of its kind of work an ended trial's last run did; None where that isn't known."""
    budget = trial.budget
    if budget is not None and trial.steps:
        if budget.steps is not None:
            return float(trial.steps)
        per_epoch = trial.measurement("steps_per_epoch")
        if per_epoch > 0:
            return trial.steps / per_epoch
    # A command, or a worker that did not say: what came to its end did all of it.
    whole = trial.state is TrialState.COMPLETED
    return kind_of_work(trial.program, budget)[1] if whole else None


# --- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pack:
    slot: Slot
    held: Sequence[Work]
    elapsed: float


def _packs(tx: Transaction, study: StudyRow, *, now: datetime) -> list[_Pack]:
    """What slots hold of the study now, and how long they have been at the trial in progress."""
    held: dict[tuple[WorkerId, str], list[RunRow]] = {}
    for row in past_runs.active(tx, study.id):
        held.setdefault((row.run.worker_id, row.request_id), []).append(row)
    known = trials.of_ids(tx, [row.run.trial_id for pack in held.values() for row in pack])
    works = _works(tx, known.values())
    return [
        _Pack(
            slot=(pack[0].run.worker_id, pack[0].slot),
            held=[works[row.run.trial_id] for row in pack],
            elapsed=max(0.0, (now - past_runs.busy_since(tx, pack[0])).total_seconds()),
        )
        for pack in held.values()
    ]


def _waiting(tx: Transaction, study: StudyRow) -> tuple[list[Work], int]:
    """(the work of the first trials that wait, how many more there are), as far as a budget of trials goes."""
    read = trials.waiting(tx, study.id, READ)
    unread = study.waiting - len(read)
    left = budgets.trials_left(tx, study, study.spec, probes=study.study.examines is not None)
    if left is not None:
        fresh = [trial for trial in read if not trial.epoch][:left]
        unread = min(unread, left - len(fresh))
        read = [trial for trial in read if trial.epoch] + fresh
    works = _works(tx, read)
    return [works[trial.id] for trial in read], unread


def _works(tx: Transaction, wanted: Iterable[Trial]) -> dict[TrialId, Work]:
    """What each asks of a slot: less what it takes over from the trial that it continues."""
    listed = list(wanted)
    before = trials.of_ids(tx, {trial.continues for trial in listed if trial.continues is not None})
    found = {}
    for trial in listed:
        kind, units = kind_of_work(trial.program, trial.budget)
        shorter = None if trial.continues is None else before.get(trial.continues)
        if shorter is not None and kind_of_work(shorter.program, shorter.budget)[0] == kind:
            units = max(0.0, units - kind_of_work(shorter.program, shorter.budget)[1])
        found[trial.id] = Work(kind, units)
    return found


def _limit(tx: Transaction, study: StudyRow, slots: int, *, now: datetime) -> float | None:
    """In how many seconds the budget of minutes or of device hours lets nothing begin any more."""
    limits = []
    if study.deadline is not None:
        limits.append((study.deadline - now).total_seconds())
    device_seconds = budgets.device_seconds_left(tx, study, study.spec, now=now)
    if device_seconds is not None:
        limits.append(device_seconds / max(1, slots))
    return max(0.0, min(limits)) if limits else None
