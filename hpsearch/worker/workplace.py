"""A worker's name and its own folder, which one process at a time may have."""

import fcntl
import hashlib
import itertools
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import Conflict, HpsearchError, InvalidInput
from hpsearch.wire import Interrupted
from hpsearch.worker.kept import drop_stale
from hpsearch.worker.output import salvage

_ROOM = 2**16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # wire.RegisterWorker's


@dataclass(frozen=True)
class Workplace:
    """`folder` is empty at the start and holds `runs/<run id>/` while a run is trained.

    `interrupted`: the runs that were in progress when the last daemon here ended without a word; None where
    no daemon was here before.
    """

    name: str
    folder: Path
    interrupted: tuple[Interrupted, ...] | None = None


@contextmanager
def take_workplace(home: Path, name: str | None) -> Iterator[Workplace]:
    """The folder `home/workers/<name>`, held until the context ends, however the process ends.

    Without a name: this host's and home's, and a number from the second worker there on. It is the same at
    each start, so that the server knows a restarted worker again. Raises Conflict where `name` is taken and
    InvalidInput where it can't be one.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidInput(
            f"worker name {name[:100]!r} must be 1-100 letters, digits, '.', '_' or '-' and start with a letter or digit"
        )
    own = default_name(socket.gethostname(), home)
    names = [name] if name is not None else (own if n == 1 else f"{own}-{n}" for n in itertools.count(1))
    for candidate in names:
        folder = home / "workers" / candidate
        lock = _lock(folder)
        if lock is not None:
            break
    else:
        raise Conflict(
            f"a worker named {name!r} already runs on this home {home}", hint="choose another --name"
        )
    try:
        known = (folder / "runs").is_dir()  # else its home is new, and nothing tells of the daemon before
        interrupted = salvage(folder / "runs") if known else None
        shutil.rmtree(folder / "runs", ignore_errors=True)
        (folder / "runs").mkdir(parents=True)
        drop_stale(folder, now=time.time())
        yield Workplace(candidate, folder, interrupted)
    finally:
        shutil.rmtree(folder / "runs", ignore_errors=True)
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder until it is closed; None where another process has it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise HpsearchError(f"can't make the worker's folder {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def check_room(probe: Path) -> None:
    """Raises OSError where a folder and a file of 64 KiB can't be made at `probe`: no trial could train there."""
    try:
        probe.mkdir(exist_ok=True)
        (probe / "file").write_bytes(bytes(_ROOM))
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def default_name(host: str, home: Path) -> str:
    """`<host>-<six hex digits of the home>`, of the characters a worker's name may have."""
    digest = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:6]
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", host).strip(".-_")[:80] or "worker"
    return f"{plain}-{digest}"
