"""A study's budget: counted on the study where trials are claimed, not per worker."""

from datetime import datetime, timedelta

from hpsearch.spec import StudySpec
from hpsearch.store.studies import StudyRow


def trials_left(study: StudyRow, spec: StudySpec) -> int | None:
    """How many trials may still be started; None where there is no limit. Reruns are free."""
    limit = spec.budget.trials
    if limit is None:
        return None
    # A random study's budget counts its points; each is trained with every replicate.
    most = limit * spec.replicates if spec.method == "random" else limit
    return max(0, most - study.started)


def late(study: StudyRow, *, now: datetime) -> bool:
    """Whether the study's minutes are over."""
    return study.deadline is not None and now >= study.deadline


def spent(study: StudyRow, spec: StudySpec, *, now: datetime) -> str | None:
    """Which budget is used up, in words, or None."""
    if late(study, now=now):
        return f"its budget of {spec.budget.minutes:g} minutes is used up"
    if trials_left(study, spec) == 0:
        return f"its budget of {spec.budget.trials} trials is used up"
    return None


def deadline(spec: StudySpec, *, now: datetime) -> datetime | None:
    """When a study that claims its first trial now must end."""
    return None if spec.budget.minutes is None else now + timedelta(minutes=spec.budget.minutes)
