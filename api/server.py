"""Runs the server: lock and database, then the socket, then uvicorn; and tells the home where it listens."""

import logging
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from api import crowd, logs, memory
from api.app import create_app
from api.bounded_http import BoundedHttp
from api.environment import idle_variables
from api.resources import Resources, ensure_local_token, open_resources
from api.settings import Settings
from api.slow_headers import SlowHeaders
from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.home import ServerAddress
from hpsearch.service import tokens
from hpsearch.store.engine import sqlite_file

log = logging.getLogger(__name__)

GRACE_SECONDS = 5  # for requests under way when the server is told to end
EVERYWHERE = "0.0.0.0"  # noqa: S104  # nosec B104
TICKS_A_SECOND = 10  # uvicorn's
KEEP_ALIVE_SECONDS = 75  # longer than a worker's pause between heartbeats, so that connections are reused


def serve(
    settings: Settings, *, ready: Callable[[ServerAddress], None] | None = None, passing: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is called once with the address that answers; `passing` serves one command,
    and ends too where a server comes to stay on the home.

    Raises Conflict where another server runs on the home, HpsearchError for a taken port, InvalidInput
    where others could reach a server that nobody could log in to.
    """
    memory.share_arenas()
    crowd.take_descriptors()
    logs.configure(settings.log_level, sys.stderr)
    for sentence in idle_variables(os.environ):
        log.warning(sentence)
    with _listening(settings, ready or _nobody, passing=passing) as (server, listener):
        memory.collect_less()
        server.run(sockets=[listener])


@contextmanager
def background(settings: Settings) -> Iterator[ServerAddress]:
    """Serve from a thread of this process for the time of the block: for tests and notebooks."""
    up = threading.Event()
    with _listening(settings, lambda _: up.set()) as (server, listener):
        thread = threading.Thread(target=server.run, args=([listener],), name="hpsearch server")
        thread.start()
        try:
            while not up.wait(0.05):
                if not thread.is_alive():
                    raise HpsearchError("the server did not start; its log says why")
            yield server.address
        finally:
            server.should_exit = True
            thread.join()


def _nobody(address: ServerAddress) -> None:
    """Nobody waits for the server."""


@contextmanager
def _listening(
    settings: Settings, ready: Callable[[ServerAddress], None], *, passing: bool = False
) -> Iterator[tuple["_Server", socket.socket]]:
    with _no_new_home(settings), open_resources(settings, passing=passing) as held:
        if not settings.loopback:
            require_token(held)
            # For commands on the server's own machine, as on a loopback server.
            ensure_local_token(held.db, settings.home, now=held.clock())
        with bind(settings.host, settings.port) as listener:
            address = ServerAddress(url=_url(settings.host, listener), pid=os.getpid())
            try:
                yield _Server(held, address, ready, passing=passing), listener
            finally:
                settings.home.forget_address()


@contextmanager
def _no_new_home(settings: Settings) -> Iterator[None]:
    """A start that is refused leaves no home that it made."""
    home, file = settings.home, sqlite_file(settings.database)
    if home.path.exists():
        yield
        return
    if not settings.loopback and file is not None and not file.exists():
        raise _nobody_could_ask(settings)  # before there is one
    try:
        yield
    except HpsearchError:
        home.discard()
        raise


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 is a free one. Raises HpsearchError for a taken port or a foreign address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the socket names its protocol; without it each answer waits 40 ms for
    # the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.strerror is None:
            raise InvalidInput(f"{host!r} is not an address of this machine") from None
        raise HpsearchError(
            f"port {port} on {host} can't be used: {error.strerror.lower()}",
            hint="choose another with --port, or 0 for a free one",
        ) from None
    return listener


def require_token(held: Resources) -> None:
    """Raises InvalidInput where the database knows no valid admin token."""
    now = held.clock()
    for token in tokens.list_all(held.db).tokens:
        live = token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
        if token.scope == "admin" and live:
            return
    raise _nobody_could_ask(held.settings)


def _nobody_could_ask(settings: Settings) -> InvalidInput:
    command = f"hpsearch serve --host 127.0.0.1 --home {shlex.quote(str(settings.home.path))}"
    database = " with this database" if settings.database_url else ""
    return InvalidInput(
        f"{settings.host} can be reached by others, and there is no admin token to ask for",
        hint=f"run `{command}` once{database}: it makes one",
    )


class _Server(uvicorn.Server):
    """uvicorn that announces itself, and ends long polls and event streams before it waits for them."""

    def __init__(
        self,
        held: Resources,
        address: ServerAddress,
        ready: Callable[[ServerAddress], None],
        *,
        passing: bool,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(resources=held),
                http=BoundedHttp,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                ws="none",
                lifespan="on",
            )
        )
        self._held = held
        self.address = address
        self._ready = ready
        self._passing = passing
        self._slow = SlowHeaders(held.settings.header_seconds)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._held.settings.home.write_address(self.address)
        self._held.residence.listen(self.address.url)
        self._ready(self.address)

    async def on_tick(self, counter: int) -> bool:
        connections: set[Any] = self.server_state.connections
        self._slow.sweep(connections, time.monotonic())
        crowd.make_room(connections)
        if self._passing and counter % TICKS_A_SECOND == 0 and self._held.residence.is_wanted():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._held.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again at the end, before the address is forgotten.
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def _url(host: str, listener: socket.socket) -> str:
    """How this machine reaches the server."""
    name = {EVERYWHERE: "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host).strip("[]")
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{listener.getsockname()[1]}"
