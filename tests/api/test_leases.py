import pytest
from fastapi.testclient import TestClient

from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register


def test_a_worker_registers_leases_reports_and_the_study_completes(http: TestClient) -> None:
    post_spec(http, grid_spec(points=2))
    worker = register(http)
    for number in range(2):
        (leased,) = lease(http, worker, f"request-{number}").leases
        assert leased.assignment.params["learning_rate"] in (1e-3, 1e-1)
        beat = http.post(f"{API}/workers/{worker}/heartbeat", json={"runs": [leased.run_id]})
        assert beat.json() == {"lost": [], "stop": [], "drain": False}
        outcome = {"state": "completed", "value": 0.5 + number, "metrics": {"val_accuracy": 0.5}}
        body = {
            "worker_id": worker,
            "reports": [{"run_id": leased.run_id, "seq": 0, "log": "hello", "outcome": outcome}],
        }
        answer = http.post(f"{API}/leases:report", json=body)
        assert answer.json()["results"][0]["status"] == "ok"
        assert http.get(f"{API}/trials/{leased.trial_id}/logs").json()[0]["text"] == "hello"
    study = http.get(f"{API}/studies/a-grid").json()
    assert study["state"] == "completed"
    assert study["best_value"] == 1.5
    assert http.get(f"{API}/studies/a-grid/best").json()["best"][0]["value"] == 1.5


def test_a_repeated_request_gets_the_same_lease(http: TestClient) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    first = lease(http, worker, "request-1")
    assert lease(http, worker, "request-1") == first
    assert lease(http, worker, "request-2").leases[0].run_id != first.leases[0].run_id


@pytest.mark.parametrize(
    ("end", "body", "state"),
    [
        ("complete", {"value": 0.9}, "completed"),
        ("diverged", {"metrics": {"loss": 3.0}}, "diverged"),
        ("pruned", {"value": 0.1}, "pruned"),
        ("failed", {"reason": "oom", "message": "out of memory"}, "failed"),
        ("release", {}, "waiting"),
    ],
)
def test_one_run_is_ended_by_its_own_route(
    http: TestClient, end: str, body: dict[str, object], state: str
) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    headers = {"X-Worker-Id": str(worker)}
    series = {"loss": {"steps": [1, 2], "values": [2.0, 1.0]}}
    path = f"{API}/leases/{leased.run_id}"
    assert http.post(f"{path}/metrics", json={"seq": 0, "series": series}, headers=headers).status_code == 200
    assert http.post(f"{path}/logs", json={"seq": 1, "log": "line"}, headers=headers).status_code == 200
    ended = http.post(f"{path}/{end}", json={"seq": 2, **body}, headers=headers)
    assert ended.json() == {"run_id": leased.run_id, "status": "ok", "detail": ""}
    assert http.get(f"{API}/trials/{leased.trial_id}").json()["state"] == state
    late = http.post(f"{path}/metrics", json={"seq": 3, "series": series}, headers=headers)
    problem(late, 409, "lease_lost")


def test_another_workers_run_is_409_and_unchanged(http: TestClient) -> None:
    post_spec(http, grid_spec())
    owner, other = register(http, "owner"), register(http, "other")
    (leased,) = lease(http, owner).leases
    answer = http.post(
        f"{API}/leases/{leased.run_id}/complete",
        json={"seq": 0, "value": 1.0},
        headers={"X-Worker-Id": str(other)},
    )
    problem(answer, 409, "lease_lost")
    assert http.get(f"{API}/trials/{leased.trial_id}").json()["state"] == "running"


def test_a_failure_needs_a_reason_and_a_result_has_none(http: TestClient) -> None:
    headers = {"X-Worker-Id": "1"}
    for end, body in (("failed", {"seq": 0}), ("complete", {"seq": 0, "reason": "oom"})):
        answer = http.post(f"{API}/leases/1/{end}", json=body, headers=headers)
        assert "reason" in problem(answer, 422, "invalid_input")["detail"]


def test_more_points_than_a_report_may_hold_are_422(http: TestClient) -> None:
    curve = {"steps": list(range(10_001)), "values": [0.5] * 10_001}
    body = {"worker_id": 1, "reports": [{"run_id": 1, "seq": 0, "series": {"loss": curve}}]}
    answer = http.post(f"{API}/leases:report", json=body)
    assert "10,000" in problem(answer, 422, "invalid_input")["detail"]


def test_an_unknown_worker_is_told_to_register(http: TestClient) -> None:
    body = {"worker_id": 77, "request_id": "request-1", "wait_seconds": 5}
    assert "register" in problem(http.post(f"{API}/leases", json=body), 404, "not_found")["hint"]
    problem(http.post(f"{API}/workers/77/heartbeat", json={}), 404, "not_found")


def test_drained_workers_get_nothing(http: TestClient) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    assert http.post(f"{API}/workers/{worker}/drain").json()["state"] == "draining"
    assert lease(http, worker).leases == ()
    assert http.post(f"{API}/workers/{worker}/heartbeat", json={}).json()["drain"] is True
    assert [w["state"] for w in http.get(f"{API}/workers").json()["workers"]] == ["draining"]
