"""What tests of the API say again and again."""

from typing import Any

from fastapi.testclient import TestClient

from hpsearch.spec import StudySpec, parse_spec
from hpsearch.wire import LeaseResponse

API = "/api/v1"


def grid_spec(name: str = "a-grid", points: int = 2) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
            "grid": {"learning_rate": points},
            "fixed": {"epochs": 1},
        }
    )


def post_spec(http: TestClient, spec: StudySpec) -> Any:
    return http.post(f"{API}/studies", json=spec.model_dump(mode="json"))


def register(http: TestClient, name: str = "worker-1") -> int:
    body = {
        "name": name,
        "host": "here",
        "version": "0",
        "slots": [{"device": "cpu", "index": 0, "name": "cpu"}],
    }
    answer = http.post(f"{API}/workers", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def lease(
    http: TestClient, worker: int, request_id: str = "request-1", wait_seconds: float = 0, trials: int = 1
) -> LeaseResponse:
    body = {
        "worker_id": worker,
        "request_id": request_id,
        "max_trials": trials,
        "wait_seconds": wait_seconds,
    }
    answer = http.post(f"{API}/leases", json=body)
    assert answer.status_code == 200, answer.text
    return LeaseResponse.model_validate_json(answer.content)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, which must be one of this status and code in the house's shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body
