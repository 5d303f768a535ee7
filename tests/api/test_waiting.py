"""Requests that wait: long polls and event streams, against a real server."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from api import events, leases
from api.app import create_app
from api.bell import Bell
from api.resources import Resources
from api.server import background
from api.settings import Settings
from hpsearch.records import TokenId
from hpsearch.service import tokens
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register

SOON = 5.0


@pytest.fixture(autouse=True)
def only_bells_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fall-back for bells that are rung elsewhere."""
    monkeypatch.setattr(leases, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(events, "POLL_SECONDS", 60.0)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as a request waits for a bell."""
    seen = threading.Event()
    wait = Bell.wait

    async def noted(self: Bell, ticket: Any, seconds: float) -> None:
        seen.set()
        await wait(self, ticket, seconds)

    monkeypatch.setattr(Bell, "wait", noted)
    return seen


@pytest.fixture
def http(settings: Settings) -> Iterator[Any]:
    with background(settings) as address:
        headers = {"Authorization": f"Bearer {settings.home.read_token()}"}
        with httpx2.Client(base_url=address.url, headers=headers, timeout=30, trust_env=False) as client:
            yield client


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_a_poll_that_waits_is_woken_by_a_new_study(
    http: Any, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    worker = register(http)
    poll = elsewhere.submit(lease, http, worker, wait_seconds=30)
    assert waiting.wait(SOON)
    post_spec(http, grid_spec())
    assert len(poll.result(SOON).leases) == 1


def test_a_poll_that_waits_is_woken_by_a_released_trial(
    http: Any, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    post_spec(http, grid_spec(points=1))
    holder, other = register(http, "holder"), register(http, "other")
    (held,) = lease(http, holder).leases
    poll = elsewhere.submit(lease, http, other, "request-2", 30)
    assert waiting.wait(SOON)
    http.post(f"{API}/leases/{held.run_id}/release", json={"seq": 0}, headers={"X-Worker-Id": str(holder)})
    (given,) = poll.result(SOON).leases
    assert given.trial_id == held.trial_id
    assert given.epoch == held.epoch + 1


def test_a_client_that_has_gone_is_given_nothing(http: Any, waiting: threading.Event) -> None:
    gone, other = register(http, "gone"), register(http, "other")
    body = {"worker_id": gone, "request_id": "request-1", "wait_seconds": 30}
    with (
        httpx2.Client(base_url=http.base_url, headers=http.headers, trust_env=False) as short,
        pytest.raises(httpx2.ReadTimeout),
    ):
        short.post(f"{API}/leases", json=body, timeout=0.3)
    assert waiting.is_set()
    post_spec(http, grid_spec(points=1))
    (given,) = lease(http, other, "request-2", wait_seconds=5).leases
    assert given.epoch == 1


def test_a_poll_ends_empty_when_its_time_is_over(http: Any) -> None:
    worker = register(http)
    started = time.monotonic()
    assert lease(http, worker, wait_seconds=0.3).leases == ()
    assert 0.3 <= time.monotonic() - started < SOON


def test_many_polls_hold_up_no_heartbeat(http: Any, waiting: threading.Event) -> None:
    workers = [register(http, f"worker-{number}") for number in range(60)]
    with ThreadPoolExecutor(60) as pool:
        polls: list[Future[Any]] = [pool.submit(lease, http, worker, wait_seconds=4) for worker in workers]
        assert waiting.wait(SOON)
        started = time.monotonic()
        assert http.post(f"{API}/workers/{workers[0]}/heartbeat", json={}).status_code == 200
        assert time.monotonic() - started < 2
        post_spec(http, grid_spec(points=60))
        assert sum(len(poll.result(10).leases) for poll in polls) == 60


def stream(http: Any, study: str, **headers: str) -> Iterator[httpx2.ServerSentEvent]:
    with http.stream("GET", f"{API}/studies/{study}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield from httpx2.EventSource(response)


def test_events_come_as_they_happen_and_end_with_the_study(
    http: Any, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    post_spec(http, grid_spec())
    told = elsewhere.submit(lambda: list(stream(http, "a-grid")))
    assert waiting.wait(SOON)
    http.post(f"{API}/studies/a-grid/cancel")
    messages = told.result(SOON)
    assert messages[-1].event == "end"
    happened = [json.loads(message.data) for message in messages[:-1]]
    ids = [event["id"] for event in happened]
    assert ids == sorted(set(ids))
    assert [message.id for message in messages[:-1]] == [str(number) for number in ids]
    assert happened[-1]["data"]["state"] == "cancelled" or any(
        event["data"].get("state") == "cancelled" for event in happened
    )


def test_a_stream_goes_on_after_the_last_event_that_was_seen(http: Any) -> None:
    post_spec(http, grid_spec())
    http.post(f"{API}/studies/a-grid/cancel")
    whole = list(stream(http, "a-grid"))
    seen = whole[0].id
    rest = list(stream(http, "a-grid", **{"Last-Event-ID": seen}))
    assert [message.data for message in rest] == [message.data for message in whole[1:]]
    asked = http.get(f"{API}/studies/a-grid/events", params={"after": seen})
    assert asked.text.count("data:") == len(rest)


def test_a_stream_of_an_unknown_study_is_404_and_a_strange_id_422(http: Any) -> None:
    assert http.get(f"{API}/studies/none/events").status_code == 404
    post_spec(http, grid_spec())
    strange = http.get(f"{API}/studies/a-grid/events", headers={"Last-Event-ID": "x"})
    assert strange.status_code == 422


def test_a_server_that_ends_lets_go_of_polls_and_streams(
    settings: Settings, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    with background(settings) as address:
        headers = {"Authorization": f"Bearer {settings.home.read_token()}"}
        http: Any = httpx2.Client(base_url=address.url, headers=headers, timeout=30, trust_env=False)
        post_spec(http, grid_spec(points=1))
        worker = register(http)
        lease(http, worker)
        poll = elsewhere.submit(lease, http, worker, "request-2", 30)
        told = elsewhere.submit(lambda: list(stream(http, "a-grid")))
        assert waiting.wait(SOON)
        started = time.monotonic()
    assert time.monotonic() - started < 4
    assert poll.result(SOON).leases == ()
    assert all(message.event == "message" for message in told.result(SOON))
    http.close()


# --- whose token ends meanwhile ------------------------------------------------------------------


def token_of(http: Any, scope: str, **body: Any) -> tuple[int, dict[str, str]]:
    """A new token's id, and the header that brings it."""
    made = http.post(f"{API}/tokens", json={"name": scope, "scope": scope, **body}).json()
    return made["token"]["id"], {"Authorization": f"Bearer {made['secret']}"}


def poll_as(http: Any, headers: dict[str, str], worker: int) -> Any:
    body = {"worker_id": worker, "request_id": "request-1", "wait_seconds": 30}
    return http.post(f"{API}/leases", json=body, headers=headers)


def worker_of(http: Any, headers: dict[str, str]) -> int:
    body = {"name": "w", "host": "h", "version": "0", "slots": [{"device": "cpu", "index": 0, "name": "cpu"}]}
    return int(http.post(f"{API}/workers", json=body, headers=headers).json()["id"])


def test_a_poll_whose_token_is_revoked_ends_at_once_with_401_and_no_trial(
    http: Any, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    token, headers = token_of(http, "worker")
    poll = elsewhere.submit(poll_as, http, headers, worker_of(http, headers))
    assert waiting.wait(SOON)
    http.delete(f"{API}/tokens/{token}")
    post_spec(http, grid_spec(points=1))
    problem(poll.result(SOON), 401, "unauthorized")
    (given,) = lease(http, register(http, "other")).leases
    assert given.epoch == 1


def test_a_stream_whose_token_is_revoked_ends_at_once_and_tells_nothing_more(
    http: Any, waiting: threading.Event, elsewhere: ThreadPoolExecutor
) -> None:
    post_spec(http, grid_spec())
    token, headers = token_of(http, "viewer")
    told = elsewhere.submit(lambda: list(stream(http, "a-grid", **headers)))
    assert waiting.wait(SOON)
    http.delete(f"{API}/tokens/{token}")
    http.post(f"{API}/studies/a-grid/cancel")
    messages = told.result(SOON)
    assert messages
    assert all(message.event == "message" and "cancelled" not in message.data for message in messages)


def test_a_poll_whose_token_expires_ends_with_401(
    http: Any, elsewhere: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.1)
    _, headers = token_of(http, "worker", expires_in_seconds=1)
    poll = elsewhere.submit(poll_as, http, headers, worker_of(http, headers))
    problem(poll.result(SOON), 401, "unauthorized")


def test_a_poll_and_a_stream_whose_token_another_server_revokes_end_soon(
    settings: Settings,
    waiting: threading.Event,
    elsewhere: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.1)
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        held: Resources = app.state.resources
        post_spec(http, grid_spec(points=1))
        lease(http, register(http))
        work, worker = token_of(http, "worker")
        view, viewer = token_of(http, "viewer")
        poll = elsewhere.submit(poll_as, http, worker, worker_of(http, worker))
        told = elsewhere.submit(http.get, f"{API}/studies/a-grid/events", headers=viewer)
        assert waiting.wait(SOON)
        for token in (work, view):
            tokens.revoke(held.db, TokenId(token), now=held.clock())
        problem(poll.result(SOON), 401, "unauthorized")
        assert "event: end" not in told.result(SOON).text
