"""What a daemon and a training child say to each other, and the socket they say it on.

A message is four bytes of length (big-endian), then that many bytes of JSON. The daemon sends one `Pack`
and perhaps `Stop`s; the child sends, for each trial in turn, `Started`, any number of `Progress`, `Finished`.
"""

import select
import socket
import struct
import threading
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter

from hpsearch.records import Outcome, Record, RunId, Series
from hpsearch.wire import Lease

_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 18


class Errand(Record):
    """One trial of a pack. `folder` is the run's own; `start` a downloaded checkpoint to continue from."""

    lease: Lease
    folder: Path
    start: Path | None = None


class Pack(Record):
    """All that a child does: these trials, one after another, on one device."""

    kind: Literal["pack"] = "pack"
    errands: tuple[Errand, ...]
    device: Literal["cpu", "cuda", "mps"]
    visible_devices: str | None  # for CUDA_VISIBLE_DEVICES; None leaves it alone
    threads: int
    data_dir: Path
    tasks_dir: Path | None
    allow_commands: bool = False
    grace_seconds: float = 30.0  # that a command has between SIGTERM and SIGKILL, about


class Stop(Record):
    """End this run at its next step and say `released`; None: every run of the pack."""

    kind: Literal["stop"] = "stop"
    run_id: RunId | None = None


class Started(Record):
    """`log_start`: where the run's output begins in the child's log file."""

    kind: Literal["started"] = "started"
    run_id: RunId
    log_start: int = 0


class Progress(Record):
    """A stretch of a run's curves; empty where the run only shows that it is alive."""

    kind: Literal["progress"] = "progress"
    run_id: RunId
    series: Series = {}


class Saved(Record):
    """A checkpoint that the run left in its folder."""

    name: Literal["best", "last"]
    step: int
    path: Path


class Finished(Record):
    """`log_end`: where the run's output ends in the child's log file."""

    kind: Literal["finished"] = "finished"
    run_id: RunId
    outcome: Outcome
    saved: tuple[Saved, ...] = ()
    log_end: int | None = None


ToChild = Pack | Stop
ToDaemon = Started | Progress | Finished
Message = TypeVar("Message")

TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(Annotated[ToChild, Field(discriminator="kind")])
TO_DAEMON: TypeAdapter[ToDaemon] = TypeAdapter(Annotated[ToDaemon, Field(discriminator="kind")])


class Channel(Generic[Message]):
    """One end of the socket. Any thread may send; one thread receives."""

    def __init__(self, sock: socket.socket, incoming: TypeAdapter[Message]) -> None:
        self._socket = sock
        self._incoming = incoming
        self._buffer = bytearray()
        self._sending = threading.Lock()
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)

    def send(self, message: Record) -> None:
        """Raises OSError where the other end is gone."""
        body = message.model_dump_json().encode()
        with self._sending:
            self._socket.sendall(_LENGTH.pack(len(body)) + body)

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next message, or None at the end of the stream. Raises TimeoutError."""
        while (message := self._buffered()) is None:
            milliseconds = None if timeout_seconds is None else max(0.0, timeout_seconds * 1000)
            if not self._readable.poll(milliseconds):
                raise TimeoutError
            if not self._fill():
                return None
        return message

    def waiting(self) -> bool:
        """Is there something to receive? Costs a microsecond."""
        return len(self._buffer) > 0 or bool(self._readable.poll(0))

    def hang_up(self) -> None:
        """End the stream for the receiver once it has read what has arrived, whoever still holds the far end."""
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            return  # closed already

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> bool:
        try:
            received = self._socket.recv(_CHUNK)
        except ConnectionError:
            return False
        self._buffer += received
        return bool(received)

    def _buffered(self) -> Message | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return self._incoming.validate_json(body)
