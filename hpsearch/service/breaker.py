"""The breaker: a worker whose trials fail where others' succeed leases nothing for a while.

Nothing is kept for it: streak and pause are read off the runs. Three trials in a row that failed on the worker, in a
study where the last runs of others brought results or are still under way, suspend it for a minute; after
that it is tried with one trial, and each further failure doubles the pause. What failed on it in that streak
goes to other workers; what fails on it again has failed, unless one is in service that may take it. A failure that
others share suspends nobody.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hpsearch.records import (
    FailureReason,
    StudyId,
    StudyState,
    Trial,
    TrialState,
    WorkerId,
    WorkerState,
)
from hpsearch.service import moves
from hpsearch.service.claims import GONE_AFTER_LEASES
from hpsearch.service.heartbeats import LEASE_SECONDS
from hpsearch.store import events, past_runs, studies, trials, workers
from hpsearch.store.engine import Transaction
from hpsearch.store.run_row import RunRow
from hpsearch.store.study_row import StudyRow

STREAK = 3
OTHERS = 3  # runs of others that are looked at ...
FEWEST_OTHERS = 2  # ... of which at least so many must be there
PAUSE_SECONDS = 60.0
MOST_DOUBLINGS = 6  # about an hour
# What may be the machine's fault. Out of memory and a time limit are the trial's.
OF_THE_MACHINE = frozenset(
    {FailureReason.ERROR, FailureReason.CRASHED, FailureReason.STALLED, FailureReason.TASK_NOT_ALLOWED}
)
# One look back must see the whole streak through runs that say nothing (released, cancelled).
LOOK_BACK = 4 * (STREAK + MOST_DOUBLINGS)


@dataclass(frozen=True)
class Suspension:
    """Until when the worker pauses, after which failures."""

    until: datetime
    failures: Sequence[RunRow]

    def told(self, name: str) -> str:
        """In a sentence, for the worker's log and the study's events."""
        count = len(self.failures)
        return (
            f"worker {name!r} is suspended until {self.until:%H:%M:%S} UTC: its last {count} trials failed and"
            " other workers' did not; look at its log, mend it and start it again"
        )


def suspects(tx: Transaction, worker_ids: Collection[WorkerId]) -> set[WorkerId]:
    """Those whose last run brought no result: who does well is not looked at again."""
    states = past_runs.last_states(tx, worker_ids)
    return {worker_id for worker_id, state in states.items() if state not in past_runs.RESULTS}


def suspension(tx: Transaction, worker_id: WorkerId) -> Suspension | None:
    """Whether the worker's own failures suspend it, or did and it is on trial since."""
    if worker_id not in suspects(tx, [worker_id]):
        return None
    streak = _streak(past_runs.last_ended(tx, worker_id, LOOK_BACK))
    if len({row.run.trial_id for row in streak}) < STREAK:
        return None
    if not _others_do_well(tx, streak[0].study_id, worker_id):
        return None
    ended = streak[0].run.finished_at
    assert ended is not None
    doublings = min(len(streak) - STREAK, MOST_DOUBLINGS)
    return Suspension(ended + timedelta(seconds=PAUSE_SECONDS * 2**doublings), streak)


def after_failure(tx: Transaction, study_id: StudyId, worker_id: WorkerId, *, now: datetime) -> None:
    """In the transaction that ended a run as failed: where that suspends its worker, the study's trials that
    failed in the streak wait for another one, and nothing is charged for them."""
    found = suspension(tx, worker_id)
    study = None if found is None else studies.lock(tx, study_id)
    if found is None or study is None or study.state not in (StudyState.RUNNING, StudyState.PAUSED):
        return
    back = [trial for row in found.failures if (trial := _failed_last_in(tx, study, row)) is not None]
    if not _others_may_take(tx, study, worker_id, now=now):
        # Else the one worker that is left would fail at them for ever, and the study never end.
        again = past_runs.failed_again(tx, worker_id, [trial.id for trial in back])
        back = [trial for trial in back if trial.id not in again]
    for trial in back:
        trials.charge(tx, trial.id, failures=-min(1, trial.failures))
    moves.wait_again(tx, study, [trial.id for trial in back], TrialState.FAILED)
    name = workers.name_of(tx, worker_id)
    data = {"worker": name, "trials": [trial.number for trial in back], "why": found.told(name)}
    events.add(tx, study.id, "worker_suspended", data, now=now)


def _failed_last_in(tx: Transaction, study: StudyRow, row: RunRow) -> Trial | None:
    """The run's trial, where it belongs to the study and that run was its end."""
    trial = trials.get(tx, row.run.trial_id) if row.study_id == study.id else None
    if trial is None or trial.state is not TrialState.FAILED or trial.epoch != row.run.epoch:
        return None
    return trial if trial.reason in (FailureReason.ERROR, FailureReason.TASK_NOT_ALLOWED) else None


def _others_may_take(tx: Transaction, study: StudyRow, worker_id: WorkerId, *, now: datetime) -> bool:
    """Whether another worker, at work or seen lately, may be given the study's trials."""
    seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * LEASE_SECONDS)
    return any(
        other.worker.state is WorkerState.ACTIVE
        and set(study.labels).issubset(other.labels)
        and (not study.gpus or any(slot.device != "cpu" for slot in other.worker.slots))
        and (other.worker.last_seen_at >= seen_since or past_runs.has_active(tx, other.id))
        for other in workers.current(tx)
        if other.id != worker_id
    )


def _others_do_well(tx: Transaction, study_id: StudyId, worker_id: WorkerId) -> bool:
    """Their last runs all brought results; or too few have ended, and others are still at it: a machine that
    fails at once must not eat a study whose trials take hours."""
    others = past_runs.last_ended_by_others(tx, study_id, worker_id, OTHERS)
    if any(row.run.state not in past_runs.RESULTS for row in others):
        return False
    return len(others) >= FEWEST_OTHERS or past_runs.others_are_active(tx, study_id, worker_id)


def _streak(ended: Sequence[RunRow]) -> list[RunRow]:
    """The failures since the last result, newest first."""
    streak = []
    for row in ended:
        if row.run.state in past_runs.RESULTS:
            break
        if row.run.reason in OF_THE_MACHINE:
            streak.append(row)
    return streak
