"""Removes what is heavy of ended trials: curves, logs and the rows of checkpoints. The trials stay."""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import delete, exists, or_, select

from hpsearch.records import FINISHED_STUDY_STATES, StudyId, TrialId, TrialState
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import checkpoints, metric_chunks, run_logs, runs, studies, trials

CHUNK = 500


def ended_before(tx: Transaction, before: datetime) -> list[StudyId]:
    """Studies that ended before a time and still hold something heavy, which a failed trial's log is not: it stays."""
    heavy = or_(
        *(
            exists().where(runs.c.study_id == studies.c.id, part.c.run_id == runs.c.id)
            for part in (metric_chunks, checkpoints)
        ),
        exists().where(
            runs.c.study_id == studies.c.id,
            run_logs.c.run_id == runs.c.id,
            trials.c.id == runs.c.trial_id,
            trials.c.state != TrialState.FAILED,
        ),
    )
    wanted = select(studies.c.id).where(
        studies.c.state.in_(FINISHED_STUDY_STATES), studies.c.finished_at < before, heavy
    )
    return [StudyId(row.id) for row in tx.execute(wanted.order_by(studies.c.id))]


def others(tx: Transaction, study_id: StudyId, kept: Collection[TrialId]) -> list[TrialId]:
    """The study's trials that ran, without those that are kept."""
    rows = tx.execute(select(trials.c.id).where(trials.c.study_id == study_id, trials.c.epoch > 0))
    return [TrialId(row.id) for row in rows if row.id not in kept]


def drop(tx: Transaction, trial_ids: Collection[TrialId]) -> tuple[int, int]:
    """(stretches of curves, checkpoints) that were dropped. Logs of failed trials are kept: they say why."""
    curves = files = 0
    for some in _chunks(trial_ids):
        of_them = select(runs.c.id).where(runs.c.trial_id.in_(some))
        curves += tx.execute(delete(metric_chunks).where(metric_chunks.c.run_id.in_(of_them))).rowcount
        files += tx.execute(delete(checkpoints).where(checkpoints.c.trial_id.in_(some))).rowcount
        well = select(trials.c.id).where(trials.c.id.in_(some), trials.c.state != TrialState.FAILED)
        quiet = select(runs.c.id).where(runs.c.trial_id.in_(well))
        tx.execute(delete(run_logs).where(run_logs.c.run_id.in_(quiet)))
    return curves, files


def count(tx: Transaction, trial_ids: Collection[TrialId]) -> tuple[int, int]:
    """What `drop` would drop."""
    curves = files = 0
    for some in _chunks(trial_ids):
        of_them = select(runs.c.id).where(runs.c.trial_id.in_(some))
        curves += len(
            tx.execute(select(metric_chunks.c.run_id).where(metric_chunks.c.run_id.in_(of_them))).all()
        )
        files += len(tx.execute(select(checkpoints.c.run_id).where(checkpoints.c.trial_id.in_(some))).all())
    return curves, files


def paths(tx: Transaction, study_id: StudyId) -> set[str]:
    """Files that the newest of the study's checkpoints lie in: what these replaced was kept while it could be resumed from."""
    of_study = select(runs.c.id).where(runs.c.study_id == study_id)
    rows = tx.execute(select(checkpoints.c.path).where(checkpoints.c.run_id.in_(of_study)))
    return {row.path for row in rows}


def _chunks(ids: Collection[TrialId]) -> Iterator[list[TrialId]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
