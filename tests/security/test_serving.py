"""S7 and S16: a server that others can reach, and connections that never say what they want."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from api.server import background
from api.settings import Settings
from api.slow_headers import SlowHeaders
from hpsearch.home import Home
from tests.api.scenes import API, grid_spec, post_spec


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


def answer_to(address: str, *sent: bytes) -> bytes:
    """All that the server says until it hangs up; what it no longer takes is not sent."""
    host, _, port = address.removeprefix("http://").partition(":")
    said = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        with suppress(ConnectionError):
            for part in sent:
                connection.sendall(part)
        with suppress(ConnectionError):
            while got := connection.recv(65_536):
                said += got
    return said


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


def talk(address: str, sent: bytes, *, every: float, each: bytes, most: float) -> tuple[bytes, float]:
    """What the server says to a sender who adds a little at a time, and after how many seconds; nothing after `most`."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        started = time.monotonic()
        connection.sendall(sent)
        connection.settimeout(every)
        while (waited := time.monotonic() - started) < most:
            try:
                return connection.recv(4096), waited
            except TimeoutError:
                connection.sendall(each)
    return b"", most


FORM = (
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 9000\r\n\r\ntoken="
)


def test_s16_a_strangers_form_is_waited_for_no_longer_than_a_header(settings: Settings) -> None:
    with background(settings.model_copy(update={"header_seconds": 0.5})) as address:
        said, waited = talk(address.url, FORM, every=0.1, each=b"a", most=5)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in said.lower()
        assert 0.3 < waited < 3


def token_body(settings: Settings, size: int) -> bytes:
    head = (
        f"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {settings.home.read_token()}\r\n\r\n"
    )
    return head.encode() + b'{"name": "x", "scope": "viewer"}'


def test_s16_a_body_that_only_drips_is_not_waited_for(settings: Settings) -> None:
    with background(settings.model_copy(update={"body_silence_seconds": 0.5})) as address:
        said, waited = talk(address.url, token_body(settings, 9_000), every=0.1, each=b" ", most=5)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert 0.3 < waited < 3


def test_a_slow_body_that_goes_on_is_waited_for(settings: Settings) -> None:
    with background(settings.model_copy(update={"body_silence_seconds": 0.5})) as address:
        size = len(b'{"name": "x", "scope": "viewer"}') + 15 * 1_000
        said, waited = talk(address.url, token_body(settings, size), every=0.1, each=b" " * 1_000, most=10)
        assert said.startswith(b"HTTP/1.1 201 ")
        assert waited > 1


def test_a_form_that_is_cut_off_is_no_error_of_the_servers(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with background(settings) as address:
        host, _, port = address.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(FORM)
            time.sleep(0.2)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and "request" not in caplog.messages:
            time.sleep(0.05)
    (noted,) = [record for record in caplog.records if record.message == "request"]
    assert vars(noted)["status"] == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]


@pytest.mark.parametrize(
    ("length", "body"),
    [("Content-Length: 9", b""), ("Transfer-Encoding: chunked", b"30d40\r\n" + b" " * 200_000)],
    ids=["unfinished", "too large"],
)
def test_a_body_that_no_route_reads_breaks_no_stream(
    settings: Settings, caplog: pytest.LogCaptureFixture, length: str, body: bytes
) -> None:
    with background(settings.model_copy(update={"body_silence_seconds": 0.3})) as address:
        headers = {"Authorization": f"Bearer {settings.home.read_token()}"}
        with httpx2.Client(base_url=address.url, headers=headers, trust_env=False) as http:
            post_spec(http, grid_spec())
            sent = (
                f"GET {API}/studies/a-grid/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n"
                f"Authorization: {headers['Authorization']}\r\n\r\n"
            ).encode()
            host, _, port = address.url.removeprefix("http://").partition(":")
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(sent + body)
                time.sleep(0.8)
                http.post(f"{API}/studies/a-grid/cancel")
                said = b""
                while b"event: end" not in said and (got := connection.recv(65_536)):
                    said += got
    assert b"event: end" in said
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Home(tmp_path_factory.mktemp("serving"))
    with background(Settings(home=home, port=0, header_seconds=60)) as served:
        yield served.url


GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "endless"),
    [
        pytest.param(b"GET /", b"a" * 1_000, id="address"),
        pytest.param(GET + b"X: ", b"a" * 1_000, id="header"),
        pytest.param(GET, b"X: a\r\n" * 200, id="headers"),
        pytest.param(CHUNKED + b"1;a=", b"a" * 1_000, id="extension of a chunk"),
        pytest.param(CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n" * 200, id="trailers"),
    ],
)
def test_s16_what_frames_a_request_is_bounded(address: str, begun: bytes, endless: bytes) -> None:
    said = answer_to(address, begun, *[endless] * 200)
    assert said == b"" or b"HTTP/1.1 431 " in said  # a reset may overtake the answer
    fair = GET + b"Connection: close\r\n" + b"X: " + b"a" * 50_000 + b"\r\n\r\n"
    assert answer_to(address, fair).startswith(b"HTTP/1.1 200 ")


def test_s16_requests_that_wait_for_an_answer_are_bounded(address: str) -> None:
    said = answer_to(address, (GET + b"\r\n") * 1_000)
    assert said.count(b"HTTP/1.1 200 ") < 20
    few = (GET + b"\r\n") * 5 + GET + b"Connection: close\r\n\r\n"
    assert answer_to(address, few).count(b"HTTP/1.1 200 ") == 6


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(GET + b"Host: evil.example\r\n\r\n", id="two hosts"),
        pytest.param(GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", id="two lengths"),
        pytest.param(
            GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="length and chunks"
        ),
        pytest.param(GET + b"Transfer-Encoding: chunked, identity\r\n\r\n", id="unknown end"),
        pytest.param(GET + b"X : a\r\n\r\n", id="space before the colon"),
        pytest.param(GET + b"X: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(GET + b"X: a\x00b\r\n\r\n", id="zero byte"),
        pytest.param(GET.replace(b"\r\n", b"\n") + b"\n", id="bare line feeds"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
    ],
)
def test_a_request_that_two_readers_may_understand_differently_is_refused(
    address: str, request_: bytes
) -> None:
    said = answer_to(address, request_.replace(b"1.1\r\n", b"1.1\r\nConnection: close\r\n", 1))
    assert said.startswith(b"HTTP/1.1 400 ")


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
