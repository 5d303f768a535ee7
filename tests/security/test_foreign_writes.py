"""S3: a worker's token speaks for the workers that it registered, and what it tries under others' leases is kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.settings import Settings
from hpsearch.home import Home
from hpsearch.store.engine import Database
from tests.api.conftest import ORIGIN
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register
from tests.api.test_checkpoints import digest, put
from tests.security.test_tokens import writes


@dataclass
class Scene:
    """A server whose clock stands, asked with one token or another."""

    http: TestClient
    admin: str
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def token(self, name: str, **more: Any) -> tuple[int, str]:
        """(id, secret) of a new worker's token."""
        self.use(self.admin)
        made = self.http.post(f"{API}/tokens", json={"name": name, "scope": "worker", **more}).json()
        return made["token"]["id"], made["secret"]

    def use(self, secret: str) -> TestClient:
        self.http.headers["Authorization"] = f"Bearer {secret}"
        return self.http

    def refusals(self) -> list[dict[str, Any]]:
        """What the admin sees of refused writes."""
        self.use(self.admin)
        stream = self.http.get(f"{API}/studies/a-grid/events").text
        told = [
            json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if "write_refused" in line
        ]
        return [event["data"] for event in told]

    def told(self, trial: int) -> list[Any]:
        """All that can be read of a trial."""
        self.use(self.admin)
        return [
            self.http.get(f"{API}/trials/{trial}{part}").json() for part in ("", "/runs", "/logs", "/metrics")
        ]


@pytest.fixture
def scene(database_url: str, tmp_path: Path) -> Iterator[Scene]:
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url, longest_stream_seconds=0.2)
    scene = Scene(http=None, admin="")  # type: ignore[arg-type]
    application = create_app(settings, clock=lambda: scene.now)
    with TestClient(application, base_url=ORIGIN, raise_server_exceptions=False) as http:
        scene.http, scene.admin = http, str(settings.home.read_token())
        post_spec(scene.use(scene.admin), grid_spec())
        yield scene


def test_s3_a_write_under_a_lease_of_another_tokens_worker_changes_nothing_and_is_kept(scene: Scene) -> None:
    (_, owner), (thief_id, thief) = scene.token("owner"), scene.token("thief")
    worker = register(scene.use(owner), "node-1")
    own = register(scene.use(thief), "node-2")
    (leased,) = lease(scene.use(owner), worker).leases
    before = scene.told(leased.trial_id)
    for named in (worker, own):  # the right worker with the wrong token, and its own
        for method, path, body in writes(leased.run_id):
            answer = scene.use(thief).request(
                method, API + path, json=body, headers={"X-Worker-Id": str(named)}
            )
            problem(answer, 409, "lease_lost")
        one = {"run_id": leased.run_id, "seq": 0, "outcome": {"state": "completed", "value": 9.0}}
        batch = {"worker_id": named, "reports": [one]}
        (result,) = scene.use(thief).post(f"{API}/leases:report", json=batch).json()["results"]
        assert result["status"] == "lease_lost"
        uploaded = put(scene.use(thief), named, leased.run_id, b"x", sha256=digest(b"x"))
        problem(uploaded, 409, "lease_lost")
    assert scene.told(leased.trial_id) == before
    assert scene.refusals() == [
        {
            "run_id": leased.run_id,
            "trial_id": leased.trial_id,
            "worker_id": worker,
            "what": what,
            "by_worker_id": named,
            "by_token_id": thief_id,
        }
        for named in (worker, own)
        for what in ("report", "checkpoint")  # the report's repeats are one
    ]
    done = {"run_id": leased.run_id, "seq": 0, "outcome": {"state": "completed", "value": 0.5}}
    reported = (
        scene.use(owner).post(f"{API}/leases:report", json={"worker_id": worker, "reports": [done]}).json()
    )
    assert reported["results"][0]["status"] == "ok"


def test_s3_another_token_neither_leases_nor_beats_for_a_worker(scene: Scene) -> None:
    (_, owner), (_, thief) = scene.token("owner"), scene.token("thief")
    worker = register(scene.use(owner), "node-1")
    (leased,) = lease(scene.use(owner), worker, "request-1").leases
    before = scene.told(leased.trial_id)
    scene.now += timedelta(seconds=20)
    for request in ("request-1", "request-2"):  # what it was given, and more
        body = {"worker_id": worker, "request_id": request, "wait_seconds": 0}
        problem(scene.use(thief).post(f"{API}/leases", json=body), 409, "conflict")
    beat = scene.use(thief).post(f"{API}/workers/{worker}/heartbeat", json={"runs": [leased.run_id]})
    assert "another token" in problem(beat, 409, "conflict")["detail"]
    assert scene.told(leased.trial_id) == before


def test_s3_a_name_at_work_is_not_taken_over_with_another_token(scene: Scene) -> None:
    (_, owner), (_, thief) = scene.token("owner"), scene.token("thief")
    worker = register(scene.use(owner), "node-1")
    lease(scene.use(owner), worker)
    body = {
        "name": "node-1",
        "host": "elsewhere",
        "version": "0",
        "slots": [{"device": "cpu", "index": 0, "name": "cpu"}],
    }
    taken = problem(scene.use(thief).post(f"{API}/workers", json=body), 409, "conflict")
    assert "at work with another token" in taken["detail"]
    assert register(scene.use(owner), "node-1") > worker  # its own next start


def test_one_token_speaks_for_every_worker_it_registered(scene: Scene) -> None:
    _, cluster = scene.token("cluster")
    first, second = (register(scene.use(cluster), name) for name in ("node-1", "node-2"))
    held = [lease(scene.use(cluster), worker).leases[0] for worker in (first, second)]
    for worker, leased in zip((first, second), held, strict=True):
        beat = scene.http.post(f"{API}/workers/{worker}/heartbeat", json={"runs": [leased.run_id]}).json()
        assert beat["lost"] == []


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_token_that_has_ended_leaves_its_workers_to_the_next_one(scene: Scene, end: str) -> None:
    (old_id, old), (_, new) = scene.token("old", expires_in_seconds=60), scene.token("new")
    worker = register(scene.use(old), "node-1")
    (leased,) = lease(scene.use(old), worker).leases
    if end == "revoked":
        assert scene.use(scene.admin).delete(f"{API}/tokens/{old_id}").status_code == 200
    else:
        scene.now += timedelta(seconds=61)
    assert scene.use(old).post(f"{API}/workers/{worker}/heartbeat", json={"runs": []}).status_code == 401
    successor = register(scene.use(new), "node-1")
    runs = scene.told(leased.trial_id)[1]
    assert [run["state"] for run in runs] == ["lost"]
    assert lease(scene.use(new), successor).leases


def test_an_idle_workers_name_may_be_taken_with_a_new_token(scene: Scene) -> None:
    (_, old), (_, new) = scene.token("old"), scene.token("new")
    register(scene.use(old), "node-1")
    assert lease(scene.use(new), register(scene.use(new), "node-1")).leases


def test_a_worker_of_an_older_program_may_be_spoken_for_by_any_token(scene: Scene, database_url: str) -> None:
    (_, owner), (_, other) = scene.token("owner"), scene.token("other")
    worker = register(scene.use(owner), "node-1")
    database = Database.open(database_url, migrate=False)
    try:
        with database.write() as tx:
            tx.execute(text("UPDATE workers SET token_id = NULL"))
    finally:
        database.close()
    assert lease(scene.use(other), worker).leases
