"""Retention: of studies that ended long ago, the best trials keep everything, the others their results."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from hpsearch.records import StudyId, TrialId
from hpsearch.service import bests, lookup
from hpsearch.store import leftovers as leftover_rows
from hpsearch.store import past_runs, retention, studies
from hpsearch.store.engine import Database, Transaction, allow_long_statements, retried
from hpsearch.wire import Prune, Pruned


def prune(db: Database, rule: Prune, *, now: datetime) -> Pruned:
    """Drop curves, checkpoints and logs by the rule; one transaction a study. Params, values, metrics and
    events of every trial stay, and so do the logs of failed ones and all of a study that this version can't read.
    `dry_run` only counts."""
    with db.read() as tx:
        allow_long_statements(tx)
        found = retention.ended_before(tx, now - timedelta(days=rule.days))
        # Without its spec nobody can say which trials of a study are its best.
        ended = [study_id for study_id in found if _readable(tx, study_id)]
    curves = files = 0
    for study_id in ended:
        of_study = _count(db, study_id, rule) if rule.dry_run else _drop(db, study_id, rule)
        curves, files = curves + of_study[0], files + of_study[1]
    return Pruned(studies=tuple(ended), curves=curves, checkpoints=files, dry_run=rule.dry_run)


def _readable(tx: Transaction, study_id: StudyId) -> bool:
    study = studies.get(tx, study_id)
    return study is not None and study.readable


def leftovers(db: Database) -> dict[StudyId, list[int]]:
    """Studies that were deleted or pruned and whose files may still be there, with the notes that say so."""
    with db.read() as tx:
        return leftover_rows.listed(tx)


def lost(db: Database, study_id: StudyId, files: Iterable[Path]) -> list[Path] | None:
    """Those of the files that no checkpoint of the study lies in, nor ever will; None while one of its runs is active.

    `files`: those that were there before this is asked. What an ended run left unregistered can only be refused; an
    active one may be about to register its file.
    """
    with db.read() as tx:
        # Asked before the paths: those of a run that has ended are all there then.
        if past_runs.under_way(tx, study_id):
            return None
        kept = retention.paths(tx, study_id)
    return [file for file in files if str(file) not in kept]


def swept(db: Database, notes: Collection[int]) -> None:
    """The files that these notes spoke of are gone."""
    with db.write() as tx:
        leftover_rows.forget(tx, notes)


@retried
def _drop(db: Database, study_id: StudyId, rule: Prune) -> tuple[int, int]:
    with db.write() as tx:
        allow_long_statements(tx)
        # Under the study's lock: a retry that wakes it meanwhile must find its trials as they were.
        study = studies.lock(tx, study_id)
        if study is None or study.study.finished_at is None:  # deleted, or awake again
            return 0, 0
        curves, files = retention.drop(tx, retention.others(tx, study_id, _kept(tx, study_id, rule)))
        if files:
            leftover_rows.note(tx, [study_id])
        return curves, files


def _count(db: Database, study_id: StudyId, rule: Prune) -> tuple[int, int]:
    with db.read() as tx:
        return retention.count(tx, retention.others(tx, study_id, _kept(tx, study_id, rule)))


def _kept(tx: Transaction, study_id: StudyId, rule: Prune) -> set[TrialId]:
    """The best points, and what can't be told apart from the winner."""
    listed = bests.best(tx, lookup.study(tx, str(study_id)), rule.keep_best).best
    return {one.trial_id for one in listed} | {tie.trial_id for one in listed for tie in one.ties}
