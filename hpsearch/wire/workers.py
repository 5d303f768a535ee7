"""What a daemon says of itself, and what it is told."""

from typing import Annotated

from pydantic import FailFast, Field

from hpsearch.records import Record, RunId, Slot, Worker
from hpsearch.wire.reports import LOG_BYTES


class Interrupted(Record):
    """A run that was being trained when its daemon ended without a word, and the last that it printed."""

    run_id: RunId
    log: str = Field(default="", max_length=LOG_BYTES)


class RegisterWorker(Record):
    """A worker says what it is. The same `name` again is a new incarnation: older leases end at once.

    `interrupted`: which of them were in progress, and are charged with a crash; None where that is not known,
    and then the first of each pack is. `start_id` is drawn at each start of a daemon: the same one again, from
    a repeated or belated call, is the same incarnation and ends nothing.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    host: str = Field(max_length=255)
    version: str = Field(max_length=50)
    slots: Annotated[tuple[Slot, ...], FailFast()] = Field(min_length=1, max_length=256)
    labels: Annotated[tuple[str, ...], FailFast()] = Field(default=(), max_length=64)
    interrupted: Annotated[tuple[Interrupted, ...] | None, FailFast()] = Field(default=None, max_length=256)
    start_id: str | None = Field(default=None, min_length=8, max_length=64)


class HeartbeatRequest(Record):
    """Renews the leases of `runs`, all that the worker believes it holds."""

    runs: Annotated[tuple[RunId, ...], FailFast()] = Field(default=(), max_length=4096)


class HeartbeatResponse(Record):
    """`lost`: leases that are over, kill them at once. `stop`: end these and release or cancel them."""

    lost: tuple[RunId, ...] = ()
    stop: tuple[RunId, ...] = ()
    drain: bool = False


class WorkerList(Record):
    workers: tuple[Worker, ...]
