"""T7: a server process that kills itself where it is told to: before or after a commit, or once it has answered."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import server
from api.settings import Settings
from hpsearch.store.engine import Database, Transaction
from tests.faults.children import ForkServer

Side = Literal["before", "after", "answered"]
SERVICE = Path("hpsearch", "service").as_posix()


class Fate:
    """A file that names a death, or two. The server that dies of the first one removes it before: its successor lives."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def arm(self, side: Side, function: str, *, then: Side | None = None) -> None:
        """`function`: of the service, whose commit it is. `then`: how the successor dies there."""
        self._write(f"{one} {function}" for one in (side, then) if one is not None)

    @property
    def armed(self) -> bool:
        return self._path.exists()

    def strikes(self, side: Side) -> bool:
        try:
            what, function = self._path.read_text().splitlines()[0].split()
        except FileNotFoundError:
            return False
        return what == side and (side == "answered" or _called_from(function))

    def die(self) -> None:
        left = self._path.read_text().splitlines()[1:]
        if left:
            self._write(left)
        else:
            self._path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, lines: Iterable[str]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text("\n".join(lines))
        temporary.replace(self._path)


def _called_from(function: str) -> bool:
    frame = sys._getframe()
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        if frame.f_code.co_name == function and SERVICE in frame.f_code.co_filename:
            return True
    return False


class _Mortal:
    """Dies when the last byte of an answer is with the kernel."""

    def __init__(self, app: ASGIApp, fate: Fate) -> None:
        self._app = app
        self._fate = fate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            if ended and self._fate.strikes("answered"):
                self._fate.die()

        await self._app(scope, receive, watched)


def serve_mortal(settings: Settings, path: Path) -> None:
    """`serve`, but for its fate. Runs in a process of its own, whose classes it changes."""
    fate, write, make = Fate(path), Database.write, server.create_app

    @contextmanager
    def mortal_write(self: Database) -> Iterator[Transaction]:
        with write(self) as tx:
            yield tx
            if fate.strikes("before"):
                fate.die()
        if fate.strikes("after"):
            fate.die()

    Database.write = mortal_write  # type: ignore[method-assign]
    server.create_app = lambda **how: _Mortal(make(**how), fate)  # type: ignore[assignment]
    server.serve(settings)


class Supervisor:
    """Starts the server again whenever it has died, as systemd would."""

    def __init__(self, settings: Settings, fate: Path) -> None:
        self.deaths = 0
        self._settings = settings
        self._fate = fate
        self._fork_server = ForkServer(["tests.faults.mortal_server"])
        self._over = False
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name="supervisor")
        self._thread.start()

    def close(self) -> None:
        self._over = True
        self._process.kill()
        self._thread.join()

    def _start(self) -> BaseProcess:
        return self._fork_server.start(serve_mortal, self._settings, self._fate)

    def _watch(self) -> None:
        while True:
            self._process.join()
            if self._over:
                return
            self.deaths += 1
            self._process = self._start()
