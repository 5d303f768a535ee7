"""Trials are claimed: all who ask together are served from one study, under its lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpsearch.records import Checkpoint, RunId, StudyId, StudyState, Trial, TrialId, TrialState
from hpsearch.service import budgets
from hpsearch.service.packs import fair_share, kind_of_work, most_by_time
from hpsearch.store import checkpoints, past_runs, runs, studies, trials, workers
from hpsearch.store.engine import Transaction
from hpsearch.store.runs import NewRun
from hpsearch.store.study_row import StudyRow
from hpsearch.store.workers import WorkerRow
from hpsearch.wire import Assignment, Lease

GONE_AFTER_LEASES = 3  # unseen for so many leases, a worker no longer counts


@dataclass(frozen=True)
class Claimant:
    """A slot that wants at most so many trials."""

    worker: WorkerRow
    slot: int
    request_id: str
    most: int

    @property
    def gpu(self) -> bool:
        return self.worker.worker.slots[self.slot].device != "cpu"

    def like(self, other: "Claimant") -> bool:
        """Whether the two may take from the same studies."""
        return self.gpu == other.gpu and set(self.worker.labels) == set(other.worker.labels)


def claim(
    tx: Transaction,
    study_id: StudyId,
    claimants: Sequence[Claimant],
    *,
    now: datetime,
    lease_seconds: float,
) -> list[tuple[Lease, ...]]:
    """What each claimant is given, in their order; nothing where the study has nothing more to give."""
    study = studies.lock_with_parent(tx, study_id)
    if study is None or study.state is not StudyState.RUNNING or not study.readable:
        return [() for _ in claimants]
    seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * lease_seconds)
    packs = _Packs(tx, study, len(claimants), seen_since=seen_since)
    taken = [packs.take(claimant.most, now=now) for claimant in claimants]
    pairs = [(claimant, trial) for claimant, pack in zip(claimants, taken, strict=True) for trial in pack]
    if not pairs:
        return [() for _ in claimants]
    ids = _start_runs(tx, study, pairs, now=now, lease_seconds=lease_seconds)
    return [
        tuple(lease_of(tx, study, trial, ids[trial.id], trial.epoch + 1, lease_seconds) for trial in pack)
        for pack in taken
    ]


def _start_runs(
    tx: Transaction,
    study: StudyRow,
    pairs: Sequence[tuple[Claimant, Trial]],
    *,
    now: datetime,
    lease_seconds: float,
) -> Mapping[TrialId, RunId]:
    """Trials and study are counted as running, and each trial gets an active run."""
    ended = past_runs.last_ends(tx, [trial.id for _, trial in pairs if trial.epoch])
    trials.claim(tx, [trial.id for _, trial in pairs], now=now)
    _count(tx, study, [trial for _, trial in pairs], now=now)
    new = [
        NewRun(
            trial_id=trial.id,
            epoch=trial.epoch + 1,
            worker_id=claimant.worker.id,
            slot=claimant.slot,
            request_id=claimant.request_id,
            not_before=ended.get(trial.id),
        )
        for claimant, trial in pairs
    ]
    ids = runs.insert_runs(tx, new, study_id=study.id, term=timedelta(seconds=lease_seconds), now=now)
    return dict(zip((run.trial_id for run in new), ids, strict=True))


class _Packs:
    """Hands out a study's waiting trials in the order they were planned, as its budget and the other slots allow."""

    def __init__(self, tx: Transaction, study: StudyRow, claimants: int, *, seen_since: datetime) -> None:
        self._tx = tx
        self._study = study
        self._seen_since = seen_since
        self._waiting: list[Trial] = []  # read, and not given yet
        self._read = 0  # the last trial that was read
        self._whole = False  # there are no more
        self._first(claimants)

    def take(self, most: int, *, now: datetime) -> list[Trial]:
        """The next claimant's; the study is seen as it is with all that was taken before."""
        spec = self._study.spec
        if budgets.time_spent(self._tx, self._study, spec, now=now) is not None:
            return []
        pack = self._pack(most, budgets.trials_left(self._tx, self._study, spec))
        given = {trial.id for trial in pack}
        self._waiting = [trial for trial in self._waiting if trial.id not in given]
        self._study = self._study.claimed(len(pack), started=_fresh(pack))
        return pack

    def _pack(self, most: int, left: int | None) -> list[Trial]:
        """Waiting trials that travel together: of one kind, none of them suspected of killing its process."""
        if left == 0:
            # Only trials that ran before are still free.
            return [trial for trial in self._first(most) if trial.epoch][:1]
        pack = self._first(1)
        if not pack or pack[0].rescues:
            return pack
        first = pack[0]
        size = min(most, most_by_time(self._study.pace, first.program, first.budget), left or most)
        if size > 1:
            slots = workers.slots_in_service(self._tx, seen_since=self._seen_since)
            size = min(size, fair_share(waiting=self._study.waiting, slots=slots))
        if size == 1:
            return pack
        kind, _ = kind_of_work(first.program, first.budget)
        together = [t for t in self._first(size) if not t.rescues]
        return [t for t in together if kind_of_work(t.program, t.budget)[0] == kind]

    def _first(self, count: int) -> list[Trial]:
        """The first `count` trials that wait and were not given yet."""
        missing = count - len(self._waiting)
        if missing > 0 and not self._whole:
            more = trials.waiting(self._tx, self._study.id, missing, after=self._read)
            self._whole = len(more) < missing
            self._waiting += more
            self._read = more[-1].id if more else self._read
        return self._waiting[:count]


def _fresh(pack: Collection[Trial]) -> int:
    """How many have never run."""
    return sum(trial.epoch == 0 for trial in pack)


def _count(tx: Transaction, study: StudyRow, pack: Sequence[Trial], *, now: datetime) -> None:
    also = {}
    if study.deadline is None and study.spec.budget.minutes is not None:
        also["deadline"] = budgets.deadline(study.spec, now=now)
    studies.count_trials(
        tx,
        study.id,
        {TrialState.WAITING: -len(pack), TrialState.RUNNING: len(pack)},
        started=_fresh(pack),
        also=also,
    )


def lease_of(
    tx: Transaction, study: StudyRow, trial: Trial, run_id: RunId, epoch: int, lease_seconds: float
) -> Lease:
    """What a worker is told of its run of a trial."""
    spec, program = study.spec, trial.program
    return Lease(
        run_id=run_id,
        study=study.study.name,
        study_id=study.id,
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
        keep_last=_may_be_continued(study, trial),
        lease_seconds=lease_seconds,
    )


def _may_be_continued(study: StudyRow, trial: Trial) -> bool:
    """Only a recipe trains the same point longer, in epochs: a later rung, round or the final run, or a probe."""
    if study.spec.method != "recipe" and study.study.examines is None:
        return False
    program = trial.program
    whole = program.kind == "train" and program.subset_batches is None and not program.test
    return whole and trial.budget is not None and trial.budget.steps is None


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
