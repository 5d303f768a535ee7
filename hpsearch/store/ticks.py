"""The reaper's last tick of each server, by which an outage and a jump of the clock are told."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from hpsearch.store.engine import Transaction
from hpsearch.store.tables import server_ticks


@dataclass(frozen=True)
class Tick:
    wall: datetime
    monotonic: float


def last(tx: Transaction, server: str) -> Tick | None:
    """This server's own."""
    row = tx.execute(select(server_ticks).where(server_ticks.c.server == server)).one_or_none()
    return None if row is None else Tick(row.wall, row.monotonic)


def newest_wall(tx: Transaction) -> datetime | None:
    """When any server last ticked."""
    return tx.execute(select(func.max(server_ticks.c.wall, type_=server_ticks.c.wall.type))).scalar()


def record(tx: Transaction, server: str, tick: Tick) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    new = dialect.insert(server_ticks).values(server=server, wall=tick.wall, monotonic=tick.monotonic)
    changed = {"wall": new.excluded.wall, "monotonic": new.excluded.monotonic}
    tx.execute(new.on_conflict_do_update(index_elements=["server"], set_=changed))
