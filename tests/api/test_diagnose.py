"""`POST /trials/{id}/diagnose`: a stored trial judged by its curves."""

import math
from typing import Any

from fastapi.testclient import TestClient

from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register

STEPS = list(range(1, 21))
OVERFIT = {
    "train_loss": [2.3 * math.exp(-s / 3) for s in STEPS],
    "val_loss": [1 + 0.01 * (s - 5) ** 2 for s in STEPS],
    "train_accuracy": [1 - 0.9 * math.exp(-s / 2) for s in STEPS],
    "val_accuracy": [0.6 for _ in STEPS],
}


def ended(http: TestClient, outcome: dict[str, Any], curves: dict[str, list[Any]]) -> int:
    """The id of a trial that ended like this, with these curves."""
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    series = {name: {"steps": STEPS[: len(values)], "values": values} for name, values in curves.items()}
    report = {"run_id": leased.run_id, "seq": 0, "series": series, "outcome": outcome}
    answer = http.post(f"{API}/leases:report", json={"worker_id": worker, "reports": [report]})
    assert answer.json()["results"][0]["status"] == "ok", answer.text
    return int(leased.trial_id)


def diagnosed(http: TestClient, trial: int) -> dict[str, Any]:
    answer = http.post(f"{API}/trials/{trial}/diagnose")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_ended_trial_is_judged_by_its_curves_and_says_that_it_is(http: TestClient) -> None:
    trial = ended(http, {"state": "completed", "value": 0.6, "measurements": {"val_size": 287.0}}, OVERFIT)
    found = diagnosed(http, trial)
    assert found["verdict"] == "overfit"
    assert found["segment"] == [5, 20]
    assert found["passive"] is True
    assert "to prove it: the same run with more weight decay" in found["note"]
    gap = next(e for e in found["evidence"] if e["name"] == "gap training - validation")
    assert (round(gap["value"], 2), gap["threshold"]) == (0.4, "<= 0.1")
    # The study leaves weight decay free: the remedy names values, the first of them as the change.
    assert found["remedy"]["grid"]["weight_decay"][0] == found["remedy"]["changes"]["weight_decay"]
    assert found["cost"] == {"probe_steps": 0.0}


def test_a_viewer_may_ask_and_nothing_changes(http: TestClient) -> None:
    trial = ended(http, {"state": "completed", "value": 0.6}, OVERFIT)
    before = http.get(f"{API}/trials/{trial}").json()
    made = http.post(f"{API}/tokens", json={"name": "look", "scope": "viewer"}).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert http.get(f"{API}/trials/{trial}/diagnose", headers=headers).status_code == 200
    problem(http.post(f"{API}/trials/{trial}/diagnose", headers=headers), 403, "forbidden")
    assert http.get(f"{API}/trials/{trial}").json() == before


def test_a_diverged_trial_has_a_learning_rate_that_is_too_high(http: TestClient) -> None:
    outcome = {"state": "diverged", "metrics": {"loss": 9.0}, "measurements": {"diverged_at": 4.0}}
    found = diagnosed(http, ended(http, outcome, {"loss": [2.3, 3.0, 9.0, "NaN"]}))
    assert found["verdict"] == "lr_too_high"
    assert "from step 4 on" in found["text"]
    # It was trained at the space's lowest rate: the remedy names none beyond the bounds.
    assert found["remedy"]["text"].startswith("lower the learning rate")
    assert found["remedy"]["changes"] == {}


def test_a_failed_trial_is_no_evidence(http: TestClient) -> None:
    outcome = {"state": "failed", "reason": "oom", "message": "out of memory\nmore"}
    found = diagnosed(http, ended(http, outcome, {}))
    assert found["verdict"] == "not_enough_evidence"
    assert found["text"] == "the trial failed before its end: out of memory"


def test_a_short_trial_says_what_is_missing(http: TestClient) -> None:
    curves = {"train_loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "val_accuracy": [0.1, 0.3]}
    found = diagnosed(http, ended(http, {"state": "completed", "value": 0.3}, curves))
    assert found["verdict"] == "not_enough_evidence"
    assert "at least 3 values of val_loss" in found["text"]


def test_probes_are_begun_by_post_alone_and_once(http: TestClient) -> None:
    measured = {"steps_per_epoch": 17.0, "val_size": 287.0, "curve_epochs": [1.0]}
    trial = ended(http, {"state": "completed", "value": 0.6, "measurements": measured}, OVERFIT)
    url = f"{API}/trials/{trial}/diagnose"
    looked = http.get(url).json()
    assert (looked["state"], looked["provable"], looked["examination"]) == ("ended", True, None)
    assert http.post(url, json={"probes": False}).json() == looked
    begun = diagnosed(http, trial)
    assert (begun["state"], begun["open_probes"], begun["passive"]) == ("running", 1, True)
    assert begun["note"].startswith("unproven so far, 1 probe under way; judged from its curves alone")
    assert diagnosed(http, trial) == http.get(url).json() == begun
    examination = http.get(f"{API}/studies/{begun['examination']}").json()
    assert (examination["examines"], examination["state"]) == (trial, "running")
    assert [one["name"] for one in http.get(f"{API}/studies").json()["studies"]] == ["a-grid"]
    assert http.get(f"{API}/studies/a-grid/diagnoses").json() == {"diagnoses": []}
    problem(http.post(url, json={"probe": True}), 422, "invalid_input")


def test_a_cancelled_study_is_not_probed(http: TestClient) -> None:
    measured = {"steps_per_epoch": 17.0, "val_size": 287.0}
    trial = ended(http, {"state": "completed", "value": 0.6, "measurements": measured}, OVERFIT)
    assert http.post(f"{API}/studies/a-grid/cancel").status_code == 200
    body = problem(http.post(f"{API}/trials/{trial}/diagnose"), 409, "conflict")
    assert "study 'a-grid' is cancelled: nothing of it is trained any more" in body["detail"]
    assert body["hint"].endswith(f"hpsearch diagnose --trial {trial} --no-probes")


def test_an_open_trial_is_a_conflict_and_an_unknown_one_not_found(http: TestClient) -> None:
    post_spec(http, grid_spec())
    trial = http.get(f"{API}/studies/a-grid/trials").json()["trials"][0]["id"]
    body = problem(http.post(f"{API}/trials/{trial}/diagnose"), 409, "conflict")
    assert "is waiting; it can be judged once it has ended" in body["detail"]
    problem(http.post(f"{API}/trials/99999/diagnose"), 404, "not_found")


def test_a_check_has_no_curve_to_judge(http: TestClient) -> None:
    spec = {
        "name": "a-recipe",
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "space": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
    }
    assert http.post(f"{API}/studies", json=spec).status_code == 201
    worker = register(http)
    (leased,) = lease(http, worker).leases
    outcome = {"state": "failed", "reason": "error", "message": "no"}
    report = {"run_id": leased.run_id, "seq": 0, "outcome": outcome}
    http.post(f"{API}/leases:report", json={"worker_id": worker, "reports": [report]})
    body = problem(http.post(f"{API}/trials/{leased.trial_id}/diagnose"), 409, "conflict")
    assert "is a check" in body["detail"]
