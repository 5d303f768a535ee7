"""Studies whose rows of checkpoints are gone and whose files wait to be removed, so that no crash forgets them."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from hpsearch.records import StudyId
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import leftovers

_NOTE = {
    "sqlite": sqlite.insert(leftovers).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(leftovers).on_conflict_do_nothing(),
}
_ALL = select(leftovers.c.study_id).order_by(leftovers.c.study_id)


def note(tx: Transaction, study_ids: Iterable[StudyId]) -> None:
    """In the transaction that removes the rows."""
    tx.execute(_NOTE[tx.dialect.name], [{"study_id": study_id} for study_id in study_ids])


def listed(tx: Transaction) -> list[StudyId]:
    return [StudyId(study_id) for study_id in tx.execute(_ALL).scalars()]


def forget(tx: Transaction, study_id: StudyId) -> None:
    """Its files are gone."""
    tx.execute(delete(leftovers).where(leftovers.c.study_id == study_id))
