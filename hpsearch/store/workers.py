"""Rows of workers: one per incarnation of a name, the highest incarnation is the worker."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from hpsearch.records import Slot, TokenId, Worker, WorkerId, WorkerState
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import workers
from hpsearch.wire import RegisterWorker

_LOCK = (
    select(workers)
    .where(workers.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(workers.c.id)
    .with_for_update()
)

_LAST_OF_NAME = (
    select(workers)
    .where(workers.c.name == bindparam("name"))
    .order_by(workers.c.incarnation.desc())
    .limit(1)
    .with_for_update()
)
_IN_SERVICE = select(func.coalesce(func.sum(workers.c.slot_count), 0)).where(
    workers.c.state == WorkerState.ACTIVE.value, workers.c.last_seen_at >= bindparam("since")
)
_OF_START = select(workers).where(
    workers.c.name == bindparam("name"), workers.c.start_id == bindparam("start")
)
_INSERT = insert(workers).returning(workers.c.id)
_SEEN = (
    update(workers)
    .where(workers.c.id.in_(bindparam("ids", expanding=True)))
    .values(last_seen_at=bindparam("now"))
)


@dataclass(frozen=True)
class WorkerRow:
    """A worker and what only the service reads. `token_id`: of the token that registered it, where that is known."""

    worker: Worker
    labels: tuple[str, ...]
    token_id: TokenId | None

    @property
    def id(self) -> WorkerId:
        return self.worker.id


def insert_worker(
    tx: Transaction, body: RegisterWorker, *, incarnation: int, token_id: TokenId | None, now: datetime
) -> WorkerId:
    values = {
        "name": body.name,
        "incarnation": incarnation,
        "state": WorkerState.ACTIVE,
        "host": body.host,
        "version": body.version,
        "slots": [slot.model_dump(mode="json") for slot in body.slots],
        "slot_count": len(body.slots),
        "labels": list(body.labels),
        "start_id": body.start_id,
        "token_id": token_id,
        "registered_at": now,
        "last_seen_at": now,
    }
    return WorkerId(tx.execute(_INSERT, values).scalar_one())


def incarnations(tx: Transaction, name: str) -> tuple[int, WorkerRow | None]:
    """(how many this name has had, the last one)."""
    row = tx.execute(_LAST_OF_NAME, {"name": name}).one_or_none()
    return (0, None) if row is None else (row.incarnation, _row(row))


def of_start(tx: Transaction, name: str, start_id: str) -> WorkerRow | None:
    """The incarnation of this name that this start of its daemon registered."""
    row = tx.execute(_OF_START, {"name": name, "start": start_id}).one_or_none()
    return None if row is None else _row(row)


def lock_all(tx: Transaction, ids: Collection[WorkerId]) -> dict[WorkerId, WorkerRow]:
    """The workers, in the order of ids; nobody else leases for them until this transaction ends."""
    return {row.id: _row(row) for row in tx.execute(_LOCK, {"ids": list(ids)})}


def find(tx: Transaction, key: str) -> WorkerRow | None:
    """The last incarnation by name, else a worker by id."""
    by_name = select(workers).where(workers.c.name == key).order_by(workers.c.incarnation.desc()).limit(1)
    row = tx.execute(by_name).one_or_none()
    if row is None and key.isascii() and key.isdecimal() and len(key) < 19:
        row = tx.execute(select(workers).where(workers.c.id == int(key))).one_or_none()
    return None if row is None else _row(row)


def name_of(tx: Transaction, worker_id: WorkerId) -> str:
    return str(tx.execute(select(workers.c.name).where(workers.c.id == worker_id)).scalar_one())


def current(tx: Transaction) -> list[WorkerRow]:
    """The last incarnation of every name, by name."""
    last = select(workers.c.name, func.max(workers.c.incarnation).label("incarnation")).group_by(
        workers.c.name
    )
    newest = last.subquery()
    wanted: Select[Any] = (
        select(workers)
        .join(
            newest,
            (workers.c.name == newest.c.name) & (workers.c.incarnation == newest.c.incarnation),
        )
        .order_by(workers.c.name)
    )
    return [_row(row) for row in tx.execute(wanted)]


def names(tx: Transaction) -> Collection[str]:
    return list(tx.execute(select(workers.c.name).distinct()).scalars())


def slots_in_service(tx: Transaction, *, seen_since: datetime) -> int:
    """Slots of all workers that live and take work."""
    return int(tx.execute(_IN_SERVICE, {"since": seen_since}).scalar_one())


def set_state(tx: Transaction, worker_id: WorkerId, state: WorkerState) -> None:
    tx.execute(update(workers).where(workers.c.id == worker_id).values(state=state))


def seen(tx: Transaction, ids: Collection[WorkerId], *, now: datetime) -> None:
    tx.execute(_SEEN, {"ids": list(ids), "now": now})


def _row(row: Row[Any]) -> WorkerRow:
    worker = Worker(
        id=row.id,
        name=row.name,
        state=WorkerState(row.state),
        host=row.host,
        slots=tuple(Slot.model_validate(slot) for slot in row.slots),
        version=row.version,
        running=0,
        registered_at=row.registered_at,
        last_seen_at=row.last_seen_at,
    )
    return WorkerRow(worker, tuple(row.labels), row.token_id)
