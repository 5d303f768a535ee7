"""Fork, importances and report."""

import re

import pytest
from fastapi.testclient import TestClient

from hpsearch.service.studies import merged
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_changes_are_a_json_merge_patch(
    target: dict[str, object], patch: dict[str, object], result: dict[str, object]
) -> None:
    assert merged(target, patch) == result


def test_a_fork_is_a_new_study_with_the_changes(http: TestClient) -> None:
    post_spec(http, grid_spec(points=2))
    body = {"name": "wider", "changes": {"grid": {"learning_rate": 3}, "fixed": {"epochs": 2}}}
    made = http.post(f"{API}/studies/a-grid/fork", json=body)
    assert made.status_code == 201
    assert made.json()["trial_counts"]["waiting"] == 3
    assert made.json()["spec"]["fixed"] == {"epochs": 2}
    assert http.get(f"{API}/studies/a-grid").json()["spec"]["fixed"] == {"epochs": 1}
    assert http.post(f"{API}/studies/a-grid/fork", json=body).status_code == 200
    other = {**body, "changes": {}}
    problem(http.post(f"{API}/studies/a-grid/fork", json=other), 409, "study_exists")
    problem(http.post(f"{API}/studies/none/fork", json=body), 404, "not_found")
    wrong = {"name": "wrong", "changes": {"grid": {"learning_rate": 0}}}
    problem(http.post(f"{API}/studies/a-grid/fork", json=wrong), 422, "invalid_input")


def trained(http: TestClient, points: int) -> None:
    post_spec(http, grid_spec(points=points))
    worker = register(http)
    for n in range(points):
        (leased,) = lease(http, worker, request_id=f"request-{n}").leases
        value = -abs(float(leased.assignment.params["learning_rate"]) - 0.01)
        body = {"seq": 0, "value": value}
        path = f"{API}/leases/{leased.run_id}/complete"
        assert http.post(path, json=body, headers={"X-Worker-Id": str(worker)}).status_code == 200


def test_importances_say_what_mattered(http: TestClient) -> None:
    trained(http, points=8)
    answer = http.get(f"{API}/studies/a-grid/importances").json()
    assert answer == {"metric": "val_accuracy", "trials": 8, "importances": {"learning_rate": 1.0}}


def test_a_report_is_a_page_without_script(http: TestClient) -> None:
    trained(http, points=2)
    page = http.get(f"{API}/studies/a-grid/report")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>a-grid" in page.text
    assert "<script" not in page.text
    assert not re.search(r"\sstyle=", page.text)
    policy = page.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "unsafe" not in policy
    text = http.get(f"{API}/studies/a-grid/report", params={"format": "md"})
    assert text.headers["content-type"].startswith("text/markdown")
    assert text.text.startswith("# a-grid")
    problem(http.get(f"{API}/studies/none/report"), 404, "not_found")
