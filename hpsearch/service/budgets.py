"""A study's budget: counted on the study where trials are claimed, not per worker. Its examinations share it.

A run's device time is the time that its slot spent on it, by the server's clock: in a pack, whose trials are trained
one after another, from the end of the one before.
"""

from datetime import datetime, timedelta

from hpsearch.spec import StudySpec
from hpsearch.store import examinations, past_runs, studies
from hpsearch.store.engine import Transaction
from hpsearch.store.run_row import RunRow
from hpsearch.store.study_row import StudyRow

HOUR = 3_600.0


def trials_left(tx: Transaction, study: StudyRow, spec: StudySpec, *, probes: bool = False) -> int | None:
    """How many trials may still be started; None where there is no limit. Reruns are free.

    `probes`: of its examinations. In a random study these are none of the points that its budget counts.
    """
    limit = spec.budget.trials
    if limit is None:
        return None
    if spec.method == "random":
        # Each point is trained with every replicate.
        own = max(0, limit * spec.replicates - study.started)
        return None if probes or study.parent_id is not None else own
    beside = sum(other.started for other in examinations.relatives(tx, study))
    return max(0, limit - study.started - beside)


def device_seconds_left(tx: Transaction, study: StudyRow, spec: StudySpec, *, now: datetime) -> float | None:
    """For how long slots may still work, runs under way taken off; None where there is no limit."""
    if spec.budget.device_hours is None:
        return None
    family = [study, *examinations.relatives(tx, study)]
    left = spec.budget.device_hours * HOUR - sum(one.device_seconds for one in family)
    if left > 0:
        left -= sum(past_runs.busy_seconds(tx, one.id, now=now) for one in family)
    return left


def time_spent(tx: Transaction, study: StudyRow, spec: StudySpec, *, now: datetime) -> str | None:
    """Which budget of time is used up, in words, or None: then nothing starts, also not what ran before."""
    if study.deadline is not None and now >= study.deadline:
        return f"its budget of {spec.budget.minutes:g} minutes is used up"
    left = device_seconds_left(tx, study, spec, now=now)
    if left is not None and left <= 0:
        return f"its budget of {spec.budget.device_hours:g} device hours is used up"
    return None


def spent(
    tx: Transaction, study: StudyRow, spec: StudySpec, *, probes: bool = False, now: datetime
) -> str | None:
    """Which budget is used up, in words, or None. `probes`: as its examinations must ask."""
    why = time_spent(tx, study, spec, now=now)
    if why is None and trials_left(tx, study, spec, probes=probes) == 0:
        why = f"its budget of {spec.budget.trials} trials is used up"
    return why


def deadline(spec: StudySpec, *, now: datetime) -> datetime | None:
    """When a study that claims its first trial now must end."""
    return None if spec.budget.minutes is None else now + timedelta(minutes=spec.budget.minutes)


def books(study: StudyRow) -> bool:
    """Whether the study's device time is kept."""
    return study.study.spec["budget"].get("device_hours") is not None


def book(tx: Transaction, study: StudyRow, ended: RunRow, *, now: datetime) -> None:
    """Add the device time of a run that has just ended. The caller holds the study's lock."""
    if not books(study):
        return
    began = past_runs.last_end_in_pack(tx, ended) or ended.run.started_at
    studies.add_device_seconds(tx, study.id, max(0.0, (now - began).total_seconds()))
