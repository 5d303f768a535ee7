import csv
import json

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import MIB, Settings
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register


def test_creating_is_idempotent_by_name_and_spec(http: TestClient) -> None:
    first = post_spec(http, grid_spec())
    again = post_spec(http, grid_spec())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert http.get(f"{API}/studies").json()["total"] == 1


def test_a_spec_may_be_posted_as_the_study_file_says_it(http: TestClient) -> None:
    body = {
        "name": "a-grid",
        "task": {"dataset": "digits", "model": "mlp"},
        "method": "grid",
        "space": {"batch_size": {"low": 16, "high": 64, "log": True}, "momentum": [0, 0.9]},
        "grid": {"batch_size": 3},
    }
    answer = http.post(f"{API}/studies", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["trial_counts"]["waiting"] == 6


def test_a_study_is_found_by_name_and_by_id(http: TestClient) -> None:
    study = post_spec(http, grid_spec()).json()
    assert http.get(f"{API}/studies/{study['id']}").json() == http.get(f"{API}/studies/a-grid").json()


def test_a_preview_stores_nothing(http: TestClient) -> None:
    answer = http.post(f"{API}/studies:preview", json=grid_spec(points=3).model_dump(mode="json"))
    assert [point["learning_rate"] for point in answer.json()["points"]] == [0.001, 0.01, 0.1]
    assert http.get(f"{API}/studies").json()["total"] == 0


def test_studies_are_paged_newest_first(http: TestClient) -> None:
    for name in ("one", "two", "three"):
        post_spec(http, grid_spec(name))
    first = http.get(f"{API}/studies", params={"page_size": 2}).json()
    assert [study["name"] for study in first["studies"]] == ["three", "two"]
    params = {"page_size": 2, "page_token": first["next_page_token"]}
    rest = http.get(f"{API}/studies", params=params).json()
    assert [study["name"] for study in rest["studies"]] == ["one"]
    assert rest["next_page_token"] is None
    assert rest["total"] == 3
    bad = {"page_token": "nonsense"}
    problem(http.get(f"{API}/studies", params=bad), 422, "invalid_input")


def test_trials_are_filtered_ordered_and_paged(http: TestClient) -> None:
    post_spec(http, grid_spec(points=5))
    lease(http, register(http))
    path = f"{API}/studies/a-grid/trials"
    assert http.get(path, params={"state": "running"}).json()["total"] == 1
    down = http.get(path, params={"order_by": "-number", "page_size": 3}).json()
    assert [trial["number"] for trial in down["trials"]] == [4, 3, 2]
    problem(http.get(path, params={"order_by": "number; drop table"}), 422, "invalid_input")


@pytest.mark.parametrize(
    ("action", "state"), [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled")]
)
def test_a_study_is_steered(http: TestClient, action: str, state: str) -> None:
    post_spec(http, grid_spec())
    assert http.post(f"{API}/studies/a-grid/{action}").json()["state"] == state
    resumed = http.post(f"{API}/studies/a-grid/resume")
    if action == "cancel":
        problem(resumed, 409, "conflict")
    else:
        assert resumed.json()["state"] == "running"


def test_a_trial_is_stopped_and_retried(http: TestClient) -> None:
    post_spec(http, grid_spec())
    trial = http.get(f"{API}/studies/a-grid/trials").json()["trials"][0]["id"]
    assert http.post(f"{API}/trials/{trial}/stop").json()["state"] == "cancelled"
    assert http.post(f"{API}/trials/{trial}/retry").json()["state"] == "waiting"
    assert http.get(f"{API}/trials/{trial}/runs").json() == []


def test_description_and_priority_can_change_and_nothing_else(http: TestClient) -> None:
    post_spec(http, grid_spec())
    changed = http.patch(f"{API}/studies/a-grid", json={"description": "why", "priority": 3}).json()
    assert changed["spec"]["description"] == "why"
    problem(http.patch(f"{API}/studies/a-grid", json={"seed": 3}), 422, "invalid_input")


def test_both_exports_hold_every_trial(http: TestClient) -> None:
    post_spec(http, grid_spec(points=3))
    path = f"{API}/studies/a-grid/export"
    lines = http.get(path).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["number"] for row in rows] == [0, 1, 2]
    answer = http.get(path, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(answer.text.splitlines()))
    assert list(table[0]) == list(rows[0])
    assert [json.loads(row["params"]) for row in table] == [row["params"] for row in rows]
    problem(http.get(f"{API}/studies/none/export"), 404, "not_found")


def test_curves_say_how_many_of_how_many_are_shown(http: TestClient) -> None:
    post_spec(http, grid_spec(points=2))
    worker = register(http)
    (leased,) = lease(http, worker).leases
    steps = list(range(1, 1_001))
    body = {"seq": 0, "series": {"val_loss": {"steps": steps, "values": [1.0 / step for step in steps]}}}
    headers = {"X-Worker-Id": str(worker)}
    http.post(f"{API}/leases/{leased.run_id}/metrics", json=body, headers=headers)
    curves = http.get(f"{API}/studies/a-grid/curves", params={"points": 50}).json()
    assert curves["metric"] == "val_loss"
    (curve,) = [curve for curve in curves["curves"] if curve["series"]]
    assert 2 <= len(curve["series"]["val_loss"]["steps"]) <= 50
    assert curves["shown"] <= curves["total"]


def test_a_server_counts_what_it_holds(http: TestClient) -> None:
    post_spec(http, grid_spec(points=4))
    register(http)
    text = http.get("/metrics").text
    assert 'hpsearch_studies{state="running"} 1.0' in text
    assert 'hpsearch_trials{state="waiting"} 4.0' in text
    assert 'hpsearch_workers{state="active"} 1.0' in text


def test_health_readiness_and_version(http: TestClient) -> None:
    assert http.get("/healthz").json() == {"status": "ok", "checks": {}}
    assert http.get("/readyz").json()["status"] == "ok"
    assert http.get("/version").json()["api"] == "v1"


def test_a_spec_that_is_too_large_is_422_wherever_it_is_asked_for(settings: Settings) -> None:
    roomy = settings.model_copy(update={"max_body_bytes": 16 * MIB})
    with TestClient(create_app(roomy), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        space = {"words": [f"{number}".rjust(9_000, "x") for number in range(1_000)]}
        command = {"kind": "command", "argv": ["python", "train.py", "{words}"]}
        metric = {"metric": "loss", "direction": "minimize"}
        small = {"name": "small", "task": command, "method": "grid", "space": {"words": ["a"]}}
        assert http.post(f"{API}/studies", json={**small, "objective": metric}).status_code == 201
        large = {**small, "objective": metric, "name": "large", "space": space}
        fork = {"name": "large", "changes": {"space": {"words": {"choices": space["words"]}}}}
        for path, body in (("studies", large), ("studies:preview", large), ("studies/small/fork", fork)):
            told = problem(http.post(f"{API}/{path}", json=body), 422, "invalid_input")
            assert "at most 256 are allowed" in told["detail"]
            assert told["errors"][0]["pointer"] == "/space"
        assert http.get(f"{API}/studies").json()["total"] == 1
