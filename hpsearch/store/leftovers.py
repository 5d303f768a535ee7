"""Studies whose rows of checkpoints are gone and whose files wait to be removed, so that no crash forgets them."""

from collections.abc import Collection, Iterable

from sqlalchemy import delete, insert, select

from hpsearch.records import StudyId
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import leftovers

_ALL = select(leftovers).order_by(leftovers.c.id)


def note(tx: Transaction, study_ids: Iterable[StudyId]) -> None:
    """In the transaction that removes the rows; a study may be noted again while its files are being removed."""
    tx.execute(insert(leftovers), [{"study_id": study_id} for study_id in study_ids])


def listed(tx: Transaction) -> dict[StudyId, list[int]]:
    """The ids of each study's notes."""
    found: dict[StudyId, list[int]] = {}
    for row in tx.execute(_ALL):
        found.setdefault(StudyId(row.study_id), []).append(row.id)
    return found


def forget(tx: Transaction, notes: Collection[int]) -> None:
    """What they speak of is done. A note that came meanwhile stays."""
    tx.execute(delete(leftovers).where(leftovers.c.id.in_(notes)))
