"""Rows of events. Written under the study's lock, so their ids rise in the order they are committed."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select

from hpsearch.records import Event, StudyId
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import events

_ADD = insert(events)


def add(tx: Transaction, study_id: StudyId, kind: str, data: dict[str, Any], *, now: datetime) -> None:
    tx.execute(_ADD, {"study_id": study_id, "kind": kind, "data": data, "at": now})


def after(tx: Transaction, study_id: StudyId, event_id: int, limit: int) -> list[Event]:
    """At most `limit` of the study's events that came after `event_id`, in order."""
    rows = tx.execute(
        select(events)
        .where(events.c.study_id == study_id, events.c.id > event_id)
        .order_by(events.c.id)
        .limit(limit)
    )
    return [Event(id=row.id, study_id=row.study_id, kind=row.kind, data=row.data, at=row.at) for row in rows]


def newest(tx: Transaction, study_id: StudyId) -> int:
    """The id of the study's last event, 0 where it has none."""
    found = tx.execute(select(func.max(events.c.id)).where(events.c.study_id == study_id)).scalar()
    return 0 if found is None else int(found)
