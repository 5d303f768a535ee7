"""Rows by what a user calls them, or NotFound with the nearest name."""

from hpsearch.errors import NotFound, nearest
from hpsearch.records import StudyId, Trial, TrialId
from hpsearch.store import catalogue, studies, trials
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow

MAX_ID = 2**63


def study(tx: Transaction, key: str, *, lock: bool = False) -> StudyRow:
    """By name or id."""
    row = studies.find(tx, key, lock=lock)
    if row is not None:
        return row
    near = nearest(key, catalogue.names(tx))
    hint = f"did you mean {near!r}?" if near is not None else "`hpsearch study list` shows all"
    raise NotFound(f"no study {key[:100]!r}", hint=hint)


def study_by_id(tx: Transaction, study_id: StudyId) -> StudyRow:
    """A study that is known to exist, as it is now; locked."""
    row = studies.lock(tx, study_id)
    assert row is not None
    return row


def trial(tx: Transaction, trial_id: TrialId) -> Trial:
    found = trials.get(tx, trial_id) if 0 < trial_id < MAX_ID else None
    if found is None:
        raise no_trial(trial_id)
    return found


def no_trial(trial_id: TrialId) -> NotFound:
    """For a trial that isn't there, or isn't where it was looked for."""
    return NotFound(f"no trial {trial_id}", hint="`hpsearch study show STUDY` lists a study's trials")
