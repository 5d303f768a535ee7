"""S23 and S24: what a server can do to a worker, and what a worker's child learns of its secrets."""

import gzip
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from hpsearch.client import Client, transport
from hpsearch.client import checkpoints as files
from hpsearch.errors import HpsearchError, InvalidInput, ServerUnreachable
from hpsearch.records import TrialId, WorkerId
from hpsearch.wire import LeaseRequest
from hpsearch.worker.environment import child_environment
from tests.client.test_transport import JSON, Answer, answering


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HPSEARCH_SERVER", "HPSEARCH_TOKEN", "HPSEARCH_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "url", ["http://search.example.org", "http://10.0.0.1:8000", "search.example.org", "http://[2001:db8::1]"]
)
def test_s24_a_token_does_not_travel_unencrypted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="unencrypted") as caught:
        Client(url, "token")
    assert "https://" in str(caught.value.hint)
    monkeypatch.setenv("HPSEARCH_ALLOW_HTTP", "1")
    Client(url, "token").close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "http://localhost:1",
        "http://[::1]:1",
        "http://127.1.2.3",
        "https://search.example.org",
    ],
)
def test_s24_this_machine_and_tls_need_no_leave(url: str) -> None:
    Client(url, "token").close()


def test_s24_a_redirect_takes_the_token_nowhere() -> None:
    asked = []

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        asked.append(request.path)
        return 307, {"Location": "/elsewhere"}, b""

    with (
        answering(answer) as url,
        Client(url, "token", patience_seconds=0) as client,
        pytest.raises(HpsearchError),
    ):
        client.workers()
    assert asked == ["/api/v1/workers"]


def test_s24_an_endless_or_packed_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 100_000)
    bomb = gzip.compress(b" " * 10_000_000)

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        return 200 if n else 500, {**JSON, "Content-Encoding": "gzip"}, bomb

    with answering(answer) as url, Client(url, "token", patience_seconds=0) as client:
        for _ in range(2):
            with pytest.raises(HpsearchError, match="more than 100,000 bytes"):
                client.workers()


def test_s24_a_checkpoint_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "_room", lambda folder: 1_000)

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        return 200, {"X-Content-SHA256": "0" * 64}, b"x" * 5_000

    with (
        answering(answer) as url,
        Client(url, "token", patience_seconds=0) as client,
        pytest.raises(HpsearchError, match="would fill this disk"),
    ):
        client.download_checkpoint(TrialId(1), "best", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_s24_a_damaged_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        return 200, {"X-Content-SHA256": "0" * 64}, b"x"

    with (
        answering(answer) as url,
        Client(url, "token", patience_seconds=0) as client,
        pytest.raises(ServerUnreachable, match="damaged"),
    ):
        client.download_checkpoint(TrialId(1), "best", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


ASSIGNMENT = {"task": {"kind": "named", "dataset": "digits", "model": "mlp"}, "program": {"kind": "train"}}


@pytest.mark.parametrize(
    "change",
    [{"run_id": "../../x"}, {"epoch": "x"}, {"study": 1}, {"assignment": {**ASSIGNMENT, "more": 1}}],
)
def test_s24_a_lease_that_is_none_is_refused(change: dict[str, object]) -> None:
    lease = {"run_id": 1, "study": "a", "trial_id": 1, "number": 0, "epoch": 1, "lease_seconds": 30, "assignment": ASSIGNMENT}  # fmt: skip

    def answer(n: int, request: BaseHTTPRequestHandler) -> Answer:
        return 200, JSON, json.dumps({"leases": [{**lease, **change}]}).encode()

    with (
        answering(answer) as url,
        Client(url, "token", patience_seconds=0) as client,
        pytest.raises(HpsearchError, match="did not answer as an hpsearch server does"),
    ):
        client.lease(LeaseRequest(worker_id=WorkerId(1), request_id="request-1", wait_seconds=0))


def test_s23_a_childs_environment_is_an_allow_list() -> None:
    secrets = {
        "HPSEARCH_TOKEN": "hps_x",
        "HPSEARCH_SERVER": "https://x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "LD_PRELOAD": "x.so",
        "LD_AUDIT": "x.so",
        "BASH_ENV": "x",
        "PYTHONINSPECT": "1",
    }
    child = child_environment({**secrets, "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}, threads=1)
    assert not set(secrets) & set(child)
    assert child["PATH"] == "/bin"
    assert child["CUDA_VISIBLE_DEVICES"] == "0"
