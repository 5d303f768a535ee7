import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.api.scenes import API, grid_spec, post_spec, problem


def test_an_unknown_path_is_a_problem(http: TestClient) -> None:
    assert "/api/v1/nothing" in problem(http.get(f"{API}/nothing"), 404, "not_found")["detail"]


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(http: TestClient) -> None:
    answer = http.put(f"{API}/studies")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


def test_an_unknown_study_is_a_problem_with_the_nearest_name(http: TestClient) -> None:
    post_spec(http, grid_spec("digits-grid"))
    body = problem(http.get(f"{API}/studies/digit-grid"), 404, "not_found")
    assert "digits-grid" in body["hint"]


def test_an_unknown_key_points_into_the_body_and_names_the_nearest(http: TestClient) -> None:
    spec = grid_spec().model_dump(mode="json")
    spec["recipe"] = {"serch": "grid"}
    body = problem(http.post(f"{API}/studies", json=spec), 422, "invalid_input")
    assert body["errors"] == [
        {"pointer": "/recipe/serch", "detail": "unknown key 'serch'; did you mean 'search'?"}
    ]


def test_every_problem_of_a_spec_is_listed(http: TestClient) -> None:
    spec = grid_spec().model_dump(mode="json")
    spec["fixed"] = {"optimzer": "sgd", "momentum": 7}
    body = problem(http.post(f"{API}/studies", json=spec), 422, "invalid_input")
    assert [item["pointer"] for item in body["errors"]] == ["/fixed/optimzer", "/fixed/momentum"]
    assert "optimizer" in body["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("page_size=0", "/query/page_size"),
        ("page_size=1001", "/query/page_size"),
        ("page_size=many", "/query/page_size"),
        ("state=dead", "/query/state"),
    ],
)
def test_a_bad_parameter_is_named(http: TestClient, query: str, pointer: str) -> None:
    body = problem(http.get(f"{API}/studies?{query}"), 422, "invalid_input")
    assert body["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("trial", ["0", "-1", "x", "9223372036854775808", "1" * 500])
def test_a_trial_id_out_of_range_is_422(http: TestClient, trial: str) -> None:
    problem(http.get(f"{API}/trials/{trial}"), 422, "invalid_input")


def test_a_conflict_names_the_changed_keys(http: TestClient) -> None:
    post_spec(http, grid_spec(points=2))
    body = problem(post_spec(http, grid_spec(points=3)), 409, "study_exists")
    assert body["errors"][0]["pointer"] == "/grid/learning_rate"


def test_a_bug_is_a_500_without_a_traceback(app: FastAPI, http: TestClient) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    app.add_api_route("/broken", broken)
    answer = http.get("/broken")
    body = problem(answer, 500, "internal_error")
    assert "secret detail" not in answer.text
    assert body["request_id"] in body["request_id"]


def test_a_plain_request_id_is_kept_and_another_replaced(http: TestClient) -> None:
    assert http.get("/version", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    replaced = http.get("/version", headers={"X-Request-Id": "<script>"}).headers["x-request-id"]
    assert replaced.isalnum()
