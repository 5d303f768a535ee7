"""The servers that live on a home: a record each, which counts for as long as its process holds the lock on it.

The kernel lets go of a killed process's lock, so nothing has to be tidied up before the next server may start.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where clients run: no record counts there
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Resident:
    """A server. `database` is where its database really is (`store.identity.place`); `url` is None until it listens.

    `passing`: it runs for the time of one command, and leaves when one `waits` that will stay.
    """

    pid: int
    database: str
    url: str | None = None
    passing: bool = False
    waits: bool = False


class Residence:
    """This process's own record among those in `folder`, from its making until `leave`. Raises OSError where the disk
    refuses."""

    def __init__(self, folder: Path, resident: Resident) -> None:
        self._path = folder / f"{secrets.token_hex(8)}.json"
        self._lock: int | None = None
        self._resident = resident
        folder.mkdir(mode=0o700, exist_ok=True)
        _tidy(folder)
        self._write()

    def listen(self, url: str) -> None:
        """Tell where this server is reached from now on."""
        self._resident = replace(self._resident, url=url)
        self._write()

    def others(self) -> list[Resident]:
        """Those that live here beside this one, the newest first."""
        return [one for one in _locked(self._path.parent, but=self._path) if not one.waits]

    def is_wanted(self) -> bool:
        """Whether a server waits for this one to leave."""
        return any(one.waits for one in _locked(self._path.parent, but=self._path))

    def leave(self) -> None:
        self._path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self) -> None:
        """A new file, locked before it has the name under which others see it: what they see is whole and locked."""
        temporary = self._path.with_suffix(".part")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps(asdict(self._resident)).encode())
            temporary.replace(self._path)
        except OSError:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        before, self._lock = self._lock, descriptor
        if before is not None:
            os.close(before)


def living(folder: Path) -> list[Resident]:
    """The servers that live here by the records in `folder`, the newest first."""
    return [one for one in _locked(folder) if not one.waits]


def _locked(folder: Path, but: Path | None = None) -> list[Resident]:
    # Its own record is never opened: on NFS, closing it would let go of the lock.
    ages: dict[Path, int] = {}
    with suppress(OSError):  # a home that this user can't read has no servers for them
        ages = {path: _age(path) for path in folder.glob("*.json") if path != but}
    found = (_read(path) for path in sorted(ages, key=ages.__getitem__, reverse=True))
    return [resident for resident in found if resident is not None]


def _age(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _read(path: Path) -> Resident | None:
    """None where its server has ended, or where it is no record."""
    try:
        with path.open("rb") as file:
            return None if _is_free(file.fileno()) else _parsed(json.load(file))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _parsed(raw: dict[str, Any]) -> Resident:
    """What a newer program adds is passed over."""
    known = {field.name for field in fields(Resident)}
    return Resident(**{name: value for name, value in raw.items() if name in known})


def _is_free(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tidy(folder: Path) -> None:
    """Remove what killed servers left. A record that is being written is not locked for a moment: it is a `.part`."""
    for path in folder.glob("*.json"):
        with suppress(OSError), path.open("rb") as file:
            if _is_free(file.fileno()):
                path.unlink()
