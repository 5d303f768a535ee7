"""The reaper's last tick of each server, by which an outage and a jump of the clock are told."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from hpsearch.store.engine import Transaction
from hpsearch.store.tables import server_ticks
from hpsearch.store.types import Timestamp

_LAST = select(server_ticks).where(server_ticks.c.server == bindparam("server"))
_NEWEST_WALL = select(func.max(server_ticks.c.wall, type_=server_ticks.c.wall.type)).where(
    server_ticks.c.wall <= bindparam("until", type_=Timestamp)
)


@dataclass(frozen=True)
class Tick:
    wall: datetime
    monotonic: float


def last(tx: Transaction, server: str) -> Tick | None:
    """This server's own: of the steady clock of this name."""
    row = tx.execute(_LAST, {"server": server}).one_or_none()
    return None if row is None else Tick(row.wall, row.monotonic)


def newest_wall(tx: Transaction, *, until: datetime) -> datetime | None:
    """When any server last ticked. What lies after `until`, written under a clock that was wrong, says nothing."""
    return tx.execute(_NEWEST_WALL, {"until": until}).scalar()


def any_after(tx: Transaction, wall: datetime) -> bool:
    """Whether some server has ticked at a later time."""
    found = select(server_ticks.c.server).where(server_ticks.c.wall > wall).limit(1)
    return tx.execute(found).first() is not None


def forget(tx: Transaction, *, before: datetime) -> None:
    """Drop what servers left that have not ticked since: each start of a machine or container brings a new one."""
    tx.execute(delete(server_ticks).where(server_ticks.c.wall < before))


def record(tx: Transaction, server: str, tick: Tick) -> None:
    values = {"server": server, "wall": tick.wall, "monotonic": tick.monotonic}
    tx.execute(_recording(tx.dialect.name), values)


@cache
def _recording(dialect: str) -> Insert:
    new = (postgresql if dialect == "postgresql" else sqlite).insert(server_ticks)
    changed = {"wall": new.excluded.wall, "monotonic": new.excluded.monotonic}
    recording: Insert = new.on_conflict_do_update(index_elements=["server"], set_=changed)
    return recording
