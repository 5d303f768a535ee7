"""S7 and S16: a server that others can reach, and connections that never say what they want."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.server import background
from api.settings import Settings
from api.slow_headers import SlowHeaders
from hpsearch.home import Home


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_s7_a_public_server_without_a_token_ends_before_it_listens(tmp_path: Path, host: str) -> None:
    command = [
        sys.executable,
        "-m",
        "hpsearch.cli.main",
        "serve",
        "--home",
        str(tmp_path),
        "--host",
        host,
        "--port",
        "0",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "can be reached by others" in " ".join(done.stderr.split())
    assert "listening" not in done.stderr
    assert Home(tmp_path).read_address() is None


def test_s7_the_default_is_this_machine() -> None:
    assert Settings.model_fields["host"].default == "127.0.0.1"


def hung_up_after(address: str, sent: bytes) -> float:
    """Seconds until the server hangs up on a connection that sent this."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        started = time.monotonic()
        connection.sendall(sent)
        while True:
            try:
                answered = connection.recv(4096)
            except ConnectionResetError:
                answered = b""
            if not answered:
                return time.monotonic() - started


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "]
)
def test_s16_a_header_that_never_ends_is_not_waited_for(settings: Settings, sent: bytes) -> None:
    with background(settings.model_copy(update={"header_seconds": 0.3})) as address:
        assert 0.2 < hung_up_after(address.url, sent) < 5


def test_s16_a_body_that_never_ends_is_not_waited_for(settings: Settings) -> None:
    with background(settings.model_copy(update={"body_silence_seconds": 0.3})) as address:
        head = (
            f"POST /api/v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {settings.home.read_token()}\r\n\r\n{{"
        )
        host, _, port = address.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_s16_only_what_waits_too_long_is_hung_up_on() -> None:
    closed = []

    def connection(name: str, *, cycle: object = None, timer: object = None) -> SimpleNamespace:
        transport = SimpleNamespace(abort=lambda: closed.append(name))
        return SimpleNamespace(cycle=cycle, timeout_keep_alive_task=timer, transport=transport)

    answering, answered = SimpleNamespace(response_complete=False), SimpleNamespace(response_complete=True)
    all_of_them = [
        connection("new"),
        connection("long poll", cycle=answering),
        connection("idle", cycle=answered, timer=object()),
        connection("second request", cycle=answered),
    ]
    watch = SlowHeaders(10)
    assert watch.sweep(_Hashable.all(all_of_them), now=0) == 0
    assert watch.sweep(_Hashable.all(all_of_them), now=9) == 0
    assert watch.sweep(_Hashable.all(all_of_them), now=10) == 2
    assert closed == ["new", "second request"]


class _Hashable:
    """A namespace by identity, as uvicorn's protocols are."""

    _made: dict[int, "_Hashable"] = {}

    def __init__(self, inner: SimpleNamespace) -> None:
        self.__dict__.update(inner.__dict__)

    @classmethod
    def all(cls, inner: list[SimpleNamespace]) -> list["_Hashable"]:
        return [cls._made.setdefault(id(one), cls(one)) for one in inner]
