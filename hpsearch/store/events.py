"""Rows of events. Written under the study's lock, so their ids rise in the order they are committed."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from hpsearch.records import Event, StudyId
from hpsearch.store.by_index import equals
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import events

_ADD = insert(events)
LOOKED_BACK = 1_000  # events, lest each refused write reads all of a study's


def add(tx: Transaction, study_id: StudyId, kind: str, data: dict[str, Any], *, now: datetime) -> None:
    tx.execute(_ADD, {"study_id": study_id, "kind": kind, "data": data, "at": now})


def after(tx: Transaction, study_id: StudyId, event_id: int, limit: int) -> list[Event]:
    """At most `limit` of the study's events that came after `event_id`, in order."""
    rows = tx.execute(
        select(events)
        .where(equals(events.c.study_id, study_id), events.c.id > event_id)
        .order_by(events.c.study_id, events.c.id)
        .limit(limit)
    )
    return [_event(row) for row in rows]


def newest_of(tx: Transaction, study_id: StudyId, kind: str, limit: int, *, since: datetime) -> list[Event]:
    """At most `limit` events of this kind that happened after `since`, among the study's last thousand; the newest first."""
    last = (
        select(events)
        .where(equals(events.c.study_id, study_id))
        .order_by(events.c.study_id.desc(), events.c.id.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    mine = select(last).where(last.c.kind == kind, last.c.at > since)
    return [_event(row) for row in tx.execute(mine.order_by(last.c.id.desc()).limit(limit))]


def newest(tx: Transaction, study_id: StudyId) -> int:
    """The id of the study's last event, 0 where it has none."""
    found = tx.execute(
        select(events.c.id)
        .where(equals(events.c.study_id, study_id))
        .order_by(events.c.study_id.desc(), events.c.id.desc())
        .limit(1)
    ).scalar()
    return 0 if found is None else int(found)


def _event(row: Row[Any]) -> Event:
    return Event(id=row.id, study_id=row.study_id, kind=row.kind, data=row.data, at=row.at)
