"""S2 to S6: who may do what, and what a stolen database or a guesser gets."""

import hashlib
import io
import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register
from tests.api.test_checkpoints import digest, put


def bearer(http: TestClient, scope: str, name: str = "") -> dict[str, str]:
    created = http.post(f"{API}/tokens", json={"name": name or scope, "scope": scope}).json()
    return {"Authorization": f"Bearer {created['secret']}"}


def test_s2_a_workers_token_makes_no_study_and_reads_no_token(http: TestClient) -> None:
    worker = bearer(http, "worker")
    spec = grid_spec().model_dump(mode="json")
    problem(http.post(f"{API}/studies", json=spec, headers=worker), 403, "forbidden")
    problem(http.get(f"{API}/tokens", headers=worker), 403, "forbidden")
    assert http.get(f"{API}/studies").json()["total"] == 0


def test_s2_a_users_token_claims_no_trial_and_makes_no_token(http: TestClient) -> None:
    user = bearer(http, "user")
    post_spec(http, grid_spec())
    register(http)
    body = {"worker_id": 1, "request_id": "request-1", "wait_seconds": 0}
    problem(http.post(f"{API}/leases", json=body, headers=user), 403, "forbidden")
    admin = {"name": "more", "scope": "admin"}
    problem(http.post(f"{API}/tokens", json=admin, headers=user), 403, "forbidden")
    counts = http.get(f"{API}/studies/a-grid").json()["trial_counts"]
    assert counts["waiting"] == 2


def writes(run: int) -> list[tuple[str, str, Any]]:
    finish = {"seq": 0, "value": 9.0}
    return [
        ("POST", f"/leases/{run}/metrics", {"seq": 0, "series": {"loss": {"steps": [1], "values": [9.0]}}}),
        ("POST", f"/leases/{run}/logs", {"seq": 0, "log": "not yours"}),
        ("POST", f"/leases/{run}/complete", finish),
        ("POST", f"/leases/{run}/diverged", finish),
        ("POST", f"/leases/{run}/pruned", finish),
        ("POST", f"/leases/{run}/failed", {"seq": 0, "reason": "error"}),
        ("POST", f"/leases/{run}/release", {"seq": 0}),
    ]


def test_s3_a_workers_write_on_anothers_lease_changes_nothing(http: TestClient, settings: Settings) -> None:
    post_spec(http, grid_spec())
    owner, thief = register(http, "owner"), register(http, "thief")
    (leased,) = lease(http, owner).leases
    before = [http.get(f"{API}/trials/{leased.trial_id}{part}").json() for part in ("", "/runs", "/logs")]
    for method, path, body in writes(leased.run_id):
        answer = http.request(method, API + path, json=body, headers={"X-Worker-Id": str(thief)})
        problem(answer, 409, "lease_lost")
    problem(put(http, thief, leased.run_id, b"x", sha256=digest(b"x")), 409, "lease_lost")
    after = [http.get(f"{API}/trials/{leased.trial_id}{part}").json() for part in ("", "/runs", "/logs")]
    assert after == before
    assert http.get(f"{API}/trials/{leased.trial_id}/metrics").json() == {}
    assert not list(settings.home.checkpoints.rglob("*.safetensors"))


def test_s5_the_database_and_the_log_hold_no_secret(http: TestClient, settings: Settings) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    handler.addFilter(lambda record: not record.name.startswith("httpx2"))  # the asking side
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        made = http.post(f"{API}/tokens", json={"name": "one", "scope": "user"}).json()["secret"]
        http.get(f"{API}/studies", headers={"Authorization": f"Bearer {made}"})
        http.get(f"{API}/studies?token={made}")
        http.get(f"{API}/nothing", headers={"Authorization": f"Bearer {made}x"})
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    files = b"".join(file.read_bytes() for file in settings.home.path.glob("hpsearch.db*"))
    for secret in (made, str(settings.home.read_token())):
        assert secret.encode() not in files
        assert secret not in log.getvalue()
        assert hashlib.sha256(secret.encode()).hexdigest().encode() in files


def test_s6_a_thousand_guesses_a_minute_are_slowed_down(settings: Settings) -> None:
    clock = datetime(2030, 1, 1, tzinfo=UTC)
    with TestClient(create_app(settings, clock=lambda: clock), base_url="http://127.0.0.1") as http:
        started = time.monotonic()
        answers = [
            http.get(f"{API}/studies", headers={"Authorization": f"Bearer hps_{n:043d}"})
            for n in range(1_000)
        ]
        assert time.monotonic() - started < 60
        assert [a.status_code for a in answers[:60]] == [401] * 60
        assert {a.status_code for a in answers[60:]} == {429}
        assert answers[-1].headers["retry-after"] == "60"
        good = {"Authorization": f"Bearer {settings.home.read_token()}"}
        assert http.get(f"{API}/studies", headers=good).status_code == 200


@pytest.mark.parametrize("scope", ["root", "", "ADMIN", "admin "])
def test_a_scope_that_is_none_is_refused(http: TestClient, scope: str) -> None:
    problem(http.post(f"{API}/tokens", json={"name": "x", "scope": scope}), 422, "invalid_input")
