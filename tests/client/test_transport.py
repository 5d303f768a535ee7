"""What the client does when the network or the server fails: against small servers that fail on purpose."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from hpsearch.client import Client
from hpsearch.errors import HpsearchError, InvalidInput, ServerUnreachable, TooLarge, Unavailable
from hpsearch.home import Home, ServerAddress
from hpsearch.records import Program, RunId, TokenId, TrialId
from hpsearch.tasks import NamedTask
from hpsearch.wire import Assignment, CreateToken, Lease

Answer = tuple[int, dict[str, str], bytes]
JSON = {"Content-Type": "application/json"}
VERSION: Answer = (200, JSON, b'{"version": "1", "api": "v1"}')


@contextmanager
def answering(answer: Callable[[int, BaseHTTPRequestHandler], Answer | None]) -> Iterator[str]:
    """A server whose n-th request gets `answer(n, request)`; None closes the connection without a word."""
    count = 0

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            super().handle_one_request()

        def do_GET(self) -> None:
            nonlocal count
            given = answer(count, self)
            count += 1
            if given is None:
                return
            status, headers, body = given
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_is_gone_is_named_with_the_reason() -> None:
    refused = r"no answer from http://127\.0\.0\.1:9: connection refused"
    with (
        Client("http://127.0.0.1:9", "token", patience_seconds=0) as client,
        pytest.raises(ServerUnreachable, match=refused),
    ):
        client.studies()


@pytest.mark.parametrize("failure", [None, (502, {}, b"<html>"), (503, {}, b"")])
def test_a_passing_failure_is_waited_out(failure: Answer | None) -> None:
    with answering(lambda n, _: failure if n < 2 else VERSION) as url, Client(url, "token") as client:
        assert client.version().version == "1"


BROKEN: Answer = (200, {**JSON, "Content-Encoding": "gzip"}, b"not gzip")


def test_an_answer_that_cant_be_unpacked_is_an_outage_and_waited_out() -> None:
    with answering(lambda n, _: BROKEN if n < 2 else VERSION) as url, Client(url, "token") as client:
        assert client.version().version == "1"
    with (
        answering(lambda n, _: BROKEN) as url,
        Client(url, "token", patience_seconds=0) as client,
        pytest.raises(ServerUnreachable, match=r"the answer of http.* can't be read: .*header"),
    ):
        client.version()


def test_a_body_that_a_proxy_finds_too_large_is_sent_once() -> None:
    asked = []
    answer = (413, {"Content-Type": "text/html"}, b"<html>")
    with (
        answering(lambda n, _: asked.append(n) or answer) as url,  # type: ignore[func-returns-value]
        Client(url, "token") as client,
        pytest.raises(TooLarge, match="413"),
    ):
        client.version()
    assert asked == [0]


def test_patience_ends_and_says_nothing_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    with answering(lambda n, _: (503, {}, b"")) as url, Client(url, "t", patience_seconds=0.3) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="503 Service Unavailable"):
            client.version()
        assert 0.3 <= time.monotonic() - started < 5
    assert capfd.readouterr() == ("", "")


def test_what_is_not_safe_to_repeat_is_sent_once() -> None:
    sent = []

    def answer(n: int, request: BaseHTTPRequestHandler) -> None:
        sent.append(request.command)

    with (
        answering(answer) as url,
        Client(url, "token", patience_seconds=2) as client,
        pytest.raises(ServerUnreachable),
    ):
        client.create_token(CreateToken(name="once", scope="user"))
    assert sent == ["POST"]


def test_what_is_safe_is_sent_again() -> None:
    token = {
        "id": 1, "name": "x", "scope": "user", "prefix": "hps_", "created_at": "2030-01-01T00:00:00Z",
        "expires_at": None, "revoked_at": "2030-01-01T00:00:00Z",
    }  # fmt: skip
    good: Answer = (200, JSON, json.dumps(token).encode())
    with answering(lambda n, _: good if n else None) as url, Client(url, "token") as client:
        assert client.revoke_token(TokenId(1)).name == "x"


def test_the_token_is_not_sent_where_none_is_needed() -> None:
    seen = []

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        seen.append(request.headers.get("Authorization"))
        return VERSION

    with answering(answer) as url, Client(url, "secret") as client:
        client.version()
        with pytest.raises(HpsearchError, match="did not answer as an hpsearch server"):
            client.workers()
    assert seen == [None, "Bearer secret"]


def test_what_a_newer_server_says_besides_is_passed_over() -> None:
    newer: Answer = (200, JSON, b'{"version": "2", "api": "v1", "codename": "otter"}')
    with answering(lambda n, request: newer) as url, Client(url, "t") as client:
        assert client.version().version == "2"


def test_what_an_older_worker_does_not_know_of_a_trial_it_does_not_train_without() -> None:
    lease = Lease(
        run_id=RunId(1),
        study="s",
        trial_id=TrialId(1),
        number=0,
        epoch=1,
        assignment=Assignment(task=NamedTask(dataset="digits", model="mlp"), program=Program(kind="train")),
        lease_seconds=30,
    ).model_dump(mode="json")
    read = partial(Lease.model_validate, extra="ignore")
    assert read({**lease, "colour": "blue"}).number == 0
    with pytest.raises(ValidationError, match="rotations"):
        read({**lease, "assignment": {**lease["assignment"], "rotations": 7}})


def test_a_stranger_that_answers_html_is_told_apart() -> None:
    page: Answer = (200, {"Content-Type": "text/html"}, b"<html>hello</html>")
    with answering(lambda n, _: page) as url, Client(url, "token", patience_seconds=0) as client:
        with pytest.raises(HpsearchError, match="did not answer as an hpsearch server"):
            client.version()
        with pytest.raises(HpsearchError, match="did not answer as an hpsearch server"):
            next(client.events("any"))


def test_a_download_that_breaks_off_or_is_damaged_is_fetched_again(tmp_path: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
    headers = {"X-Content-SHA256": digest}

    def answer(n: int, _: BaseHTTPRequestHandler) -> Answer | None:
        return [None, (200, headers, b"hellO"), (200, headers, b"hello")][n]

    with answering(answer) as url, Client(url, "token") as client:
        path = client.download_checkpoint(TrialId(1), "best", tmp_path / "file")
    assert path.read_bytes() == b"hello"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_events_go_on_where_a_broken_stream_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.client.events.PAUSE_SECONDS", 0.0)
    asked = []

    def event(number: int) -> str:
        body = {"id": number, "study_id": 1, "kind": "k", "data": {}, "at": "2030-01-01T00:00:00Z"}
        return f"data: {json.dumps(body)}\nid: {number}\n\n"

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer | None:
        asked.append(request.headers["Last-Event-ID"])
        text = [event(1) + event(2), None, event(3) + "data: {half", event(4) + "event: end\ndata: {}\n\n"][n]
        return None if text is None else (200, {"Content-Type": "text/event-stream"}, text.encode())

    with answering(answer) as url, Client(url, "token") as client:
        assert [one.id for one in client.events("any")] == [1, 2, 3, 4]
    assert asked == ["0", "2", "2", "3"]


@pytest.mark.parametrize("url", ["ftp://host", "http://", "://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="address"):
        Client(url, "token")


class TestAddress:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
        for name in ("HPSEARCH_SERVER", "HPSEARCH_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "home"))
        return Home(tmp_path / "home").create()

    def seen_by(self, make: Callable[[str], Client]) -> str | None:
        seen = []

        def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
            seen.append(request.headers.get("Authorization"))
            return 200, JSON, b'{"workers": []}'

        with answering(answer) as url, make(url) as client:
            client.workers()
        token: str | None = seen[0]
        return token

    def test_no_server_known_is_one_sentence(self) -> None:
        with pytest.raises(ServerUnreachable, match="no server runs on the home"):
            Client()

    def test_the_homes_own_server_and_token_are_found(self, clean: Home) -> None:
        def make(url: str) -> Client:
            clean.write_address(ServerAddress(url=url, pid=1))
            clean.write_token("of-the-home")
            return Client()

        assert self.seen_by(make) == "Bearer of-the-home"

    def test_the_homes_token_goes_to_no_other_server(self, clean: Home) -> None:
        clean.write_address(ServerAddress(url="http://127.0.0.1:1", pid=1))
        clean.write_token("of-the-home")
        assert self.seen_by(Client) is None

    def test_the_environment_names_server_and_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def make(url: str) -> Client:
            monkeypatch.setenv("HPSEARCH_SERVER", url)
            monkeypatch.setenv("HPSEARCH_TOKEN", "of-the-environment")
            return Client()

        assert self.seen_by(make) == "Bearer of-the-environment"


def test_certificates_are_read_where_one_may_be_shown_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HPSEARCH_ALLOW_HTTP", "1")
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **given: read.append(given))
    Client("http://127.0.0.1:1", "t", patience_seconds=0).close()
    assert read == []
    for url in ("https://127.0.0.1:1", "http://example.org"):
        Client(url, "t", patience_seconds=0).close()
        assert read, url
        read.clear()
