import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from api import bounded_http, crowd
from api.server import background
from api.settings import Settings

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
FORM = (
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 9000\r\n\r\n"
)
Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(settings: Settings) -> Iterator[Connect]:
    """Makes connections to a server, and closes them before it ends."""
    with background(settings) as address, ExitStack() as made:
        host, _, port = address.url.removeprefix("http://").partition(":")
        yield lambda: made.enter_context(socket.create_connection((host, int(port)), timeout=5))


def answers(connection: socket.socket) -> bool:
    try:
        connection.sendall(GET)
        return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except ConnectionError:
        return False


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (crowd, bounded_http):
        monkeypatch.setattr(module, "most_connections", lambda: 4)


@pytest.mark.usefixtures("four")
def test_who_comes_last_is_not_let_in_where_all_others_are_at_work(connect: Connect) -> None:
    busy = [connect() for _ in range(4)]
    for connection in busy:
        connection.sendall(FORM)
    time.sleep(0.5)
    assert not answers(connect())
    busy[0].close()
    time.sleep(0.5)
    assert answers(connect())


@pytest.mark.usefixtures("four")
def test_idle_connections_make_room_for_new_ones(connect: Connect) -> None:
    for _ in range(4):
        assert answers(connect())
    deadline = time.monotonic() + 5
    while not answers(connect()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_only_what_is_idle_is_hung_up_on_and_only_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def connection(name: str, timer: object = None) -> SimpleNamespace:
        transport = SimpleNamespace(close=lambda: closed.append(name))
        return SimpleNamespace(cycle=None, timeout_keep_alive_task=timer, transport=transport)

    some = [connection("long poll"), connection("idle", object()), connection("new")]
    monkeypatch.setattr(crowd, "most_connections", lambda: 4)
    assert crowd.make_room(some) == 0
    monkeypatch.setattr(crowd, "most_connections", lambda: 3)
    assert crowd.make_room(some) == 1
    assert closed == ["idle"]


@pytest.mark.parametrize(
    ("soft", "most"),
    [(40, 20), (128, 64), (1_024, 960), (10**6, 16_320), (resource.RLIM_INFINITY, 16_320)],
)
def test_some_descriptors_are_kept(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (soft, soft))
    assert crowd.most_connections() == most


@pytest.mark.parametrize(
    ("soft", "hard", "taken"),
    [
        (1_024, 4_096, 4_096),
        (1_024, 10**6, 16_384),
        (256, resource.RLIM_INFINITY, 16_384),
        (20_000, 20_000, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_a_server_takes_what_descriptors_it_may(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, taken: int | None
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: set_to.append(limits))
    crowd.take_descriptors()
    assert set_to == ([] if taken is None else [(taken, hard)])
