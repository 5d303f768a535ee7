"""A command's process: started under its warden, heard line by line, signalled as a group."""

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpsearch.worker import warden
from hpsearch.worker.output import MOST_ON_DISK
from hpsearch.worker.printed import MAX_JSON

Stream = Literal["stdout", "stderr", "reports"]

_CHUNK = 1 << 16
_STDOUT = 1
_MOST_LOG = 4 * MOST_ON_DISK
_LAST_WORDS_SECONDS = 2.0  # for reading what a command left in its pipes
_BREAK = re.compile(rb"[\r\n]")  # progress bars end their lines with \r


@dataclass(frozen=True)
class End:
    """How a command ended: its exit code, negative for a signal, or why it could not be started."""

    code: int
    refused: str | None = None


class Lines:
    """Bytes as lines; of one that is too long the beginning is kept."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, rest = _BREAK.split(self._rest + data)
        self._rest = rest[: MAX_JSON + 1]
        return [line.decode(errors="replace") for line in whole if line]

    def last(self) -> list[str]:
        return self.feed(b"\n")


class CommandProcess:
    """Runs from the moment it is made. `end` is None until it and all it started in its group are gone."""

    def __init__(
        self, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], reports: Path
    ) -> None:
        """`reports`: where to make the pipe that `hpsearch.report` writes to. Raises OSError."""
        self.end: End | None = None
        os.mkfifo(reports, 0o600)
        # For reading and writing, so that it never ends and no script waits to open it.
        self._reports = os.open(reports, os.O_RDWR | os.O_NONBLOCK)
        self._line, theirs = socket.socketpair()
        self._status = b""
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", warden.__file__, str(theirs.fileno()), *argv],
                pass_fds=[theirs.fileno()],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._lines: dict[Stream, Lines] = {name: Lines() for name in ("stdout", "stderr", "reports")}
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._selector.register(self._process.stdout.fileno(), selectors.EVENT_READ, "stdout")
        self._selector.register(self._process.stderr.fileno(), selectors.EVENT_READ, "stderr")
        self._selector.register(self._reports, selectors.EVENT_READ, "reports")
        self._selector.register(self._line, selectors.EVENT_READ, "status")

    def signal(self, number: int) -> None:
        """To the whole group, its warden included; nothing where it has ended."""
        if self.end is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def hear(self, timeout_seconds: float) -> list[tuple[Stream, str]]:
        """The lines that arrive within the timeout, fewer than that as soon as there are some."""
        heard = self._read(timeout_seconds)
        if self._status.endswith(b"\n") or self._over():
            heard += self._finish()
        return heard

    def close(self) -> None:
        """Kill what is left and let go of everything."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        self._line.close()
        os.close(self._reports)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _over(self) -> bool:
        return self._line not in (key.fileobj for key in self._selector.get_map().values())

    def _read(self, timeout_seconds: float) -> list[tuple[Stream, str]]:
        heard: list[tuple[Stream, str]] = []
        for key, _ in self._selector.select(timeout_seconds):
            try:
                data = os.read(key.fd, _CHUNK)
            except (BlockingIOError, ConnectionError):
                data = b""
            if not data and key.data != "reports":
                self._selector.unregister(key.fileobj)
            elif key.data == "status":
                self._status += data
            else:
                heard += [(key.data, line) for line in self._lines[key.data].feed(data)]
                if key.data != "reports":
                    _log(data)
        return heard

    def _finish(self) -> list[tuple[Stream, str]]:
        """The group is ending: kill what remains of it, read what it has said, and note its end."""
        # The warden is not reaped yet, so its number is nobody else's.
        self.signal(signal.SIGKILL)
        self._process.wait()
        heard: list[tuple[Stream, str]] = []
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while self._selector.select(0) and time.monotonic() < deadline:
            heard += self._read(0)
        for name, lines in self._lines.items():
            heard += [(name, line) for line in lines.last()]
        self.end = _end_of(self._status.decode(errors="replace"))
        return heard


def _log(data: bytes) -> None:
    """To the run's log, which the daemon empties when it looks: a fast command would fill the disk before.

    A disk without room costs lines of the log, not the trial.
    """
    with suppress(OSError):
        if os.fstat(_STDOUT).st_size > _MOST_LOG:
            os.ftruncate(_STDOUT, 0)
        os.write(_STDOUT, data)


def _end_of(status: str) -> End:
    """What the warden said; one that said nothing was killed with its group."""
    word, _, rest = status.strip().partition(" ")
    match word:
        case "exit":
            return End(int(rest))
        case "cannot":
            return End(127, refused=rest)
        case _:
            return End(-signal.SIGKILL)
