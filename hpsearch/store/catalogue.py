"""Studies as they are listed: without examinations, which stand beside the study that they serve."""

from typing import Any

from sqlalchemy import Select, func, select

from hpsearch.records import Study, StudyId, StudyState
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import row_of
from hpsearch.store.tables import studies

_LISTED = studies.c.parent_id.is_(None)


def names(tx: Transaction, limit: int = 10_000) -> list[str]:
    """Newest first: what a misspelt name is compared with."""
    wanted = select(studies.c.name).where(_LISTED)
    return list(tx.execute(wanted.order_by(studies.c.id.desc()).limit(limit)).scalars())


def page(
    tx: Transaction, *, state: StudyState | None, before: StudyId | None, limit: int
) -> tuple[list[Study], int]:
    """(at most `limit` studies, newest first, with ids under `before`; how many there are in all)."""
    of_state: Select[Any] = select(studies).where(_LISTED)
    count = select(func.count()).select_from(studies).where(_LISTED)
    if state is not None:
        of_state = of_state.where(studies.c.state == state)
        count = count.where(studies.c.state == state)
    if before is not None:
        of_state = of_state.where(studies.c.id < before)
    rows = tx.execute(of_state.order_by(studies.c.id.desc()).limit(limit))
    return [row_of(row).study for row in rows], tx.execute(count).scalar_one()
