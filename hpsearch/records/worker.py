"""A daemon on a node and what it trains on."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from hpsearch.records.record import Record, WorkerId


class Slot(Record):
    """What a worker trains on: one GPU, or a group of CPU threads."""

    device: Literal["cpu", "cuda", "mps"]
    index: int = Field(ge=0)
    name: str = Field(max_length=200)
    memory_mib: int | None = None
    threads: int = Field(default=1, ge=1)


class WorkerState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"  # its trials fail where others' succeed
    DRAINING = "draining"
    GONE = "gone"


class Worker(Record):
    """A daemon on a node. `name` is stable: a new incarnation takes over its predecessor's leases' end."""

    id: WorkerId
    name: str
    state: WorkerState
    host: str
    slots: tuple[Slot, ...]
    version: str
    running: int
    registered_at: datetime
    last_seen_at: datetime
