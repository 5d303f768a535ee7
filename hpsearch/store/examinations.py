"""Rows of examinations: studies beside another one, each of which examines one trial of that."""

from datetime import datetime

from sqlalchemy import or_, select

from hpsearch.records import StudyId, TrialId
from hpsearch.store.engine import Transaction
from hpsearch.store.studies import insert_row
from hpsearch.store.study_row import StudyRow, row_of
from hpsearch.store.tables import studies


def insert_examination(
    tx: Transaction, parent: StudyRow, trial_id: TrialId, name: str, *, now: datetime
) -> StudyId:
    """A new running examination of a trial of `parent`, on its terms and by its deadline."""
    also = {"name": name, "parent_id": parent.id, "examines": trial_id, "deadline": parent.deadline}
    return insert_row(tx, parent.spec, also, now=now)


def of_trial(tx: Transaction, trial_id: TrialId, *, lock: bool = False) -> StudyRow | None:
    """The one that examines this trial, if there is one."""
    wanted = select(studies).where(studies.c.examines == trial_id)
    row = tx.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    return None if row is None else row_of(row)


def of_study(tx: Transaction, study_id: StudyId, *, lock: bool = False) -> list[StudyRow]:
    """Those of this study's trials, oldest first. Who locks them has locked the study: ids rise."""
    wanted = select(studies).where(studies.c.parent_id == study_id).order_by(studies.c.id)
    return [row_of(row) for row in tx.execute(wanted.with_for_update() if lock else wanted)]


def relatives(tx: Transaction, study: StudyRow) -> list[StudyRow]:
    """Who shares the study's budget: its examinations; of an examination its study and the others of that."""
    family = study.parent_id or study.id
    wanted = select(studies).where(
        or_(studies.c.id == family, studies.c.parent_id == family), studies.c.id != study.id
    )
    return [row_of(row) for row in tx.execute(wanted)]
