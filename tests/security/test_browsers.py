"""S8 to S11: what a foreign page can make a browser do."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.session import COOKIE
from api.settings import Settings
from tests.api.scenes import API, grid_spec, post_spec, problem
from tests.api.test_auth import paths

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8001"},
    {"Origin": "http://127.0.0.1:8000.evil.example"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", UNSAFE)
def test_s9_a_foreign_page_changes_nothing_by_any_method(
    http: TestClient, method: str, headers: dict[str, str]
) -> None:
    post_spec(http, grid_spec())
    for path in (f"{API}/studies", f"{API}/studies/a-grid", f"{API}/studies/a-grid/cancel", "/login"):
        answer = http.request(method, path, headers=headers, json={"name": "x"})
        problem(answer, 403, "forbidden")
    assert http.get(f"{API}/studies/a-grid").json()["state"] == "running"


def test_s9_the_servers_own_pages_and_other_clients_may(http: TestClient) -> None:
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    spec = grid_spec().model_dump(mode="json")
    assert http.post(f"{API}/studies", json=spec, headers=own).status_code == 201
    assert http.post(f"{API}/studies", json=spec).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_s9_what_a_page_may_send_unasked_is_not_json(http: TestClient, kind: str) -> None:
    spec = grid_spec().model_dump_json()
    answer = http.post(f"{API}/studies", content=spec, headers={"Content-Type": kind})
    problem(answer, 415, "unsupported_media_type")


def test_s9_the_api_never_hears_the_cookie(app: FastAPI, anonymous: TestClient, settings: Settings) -> None:
    anonymous.cookies.set(COOKIE, str(settings.home.read_token()))
    tried = [path for path in paths(app) if path.startswith((API, "/metrics"))]
    assert len(tried) > 30
    for path in tried:
        for method in ("GET", *UNSAFE):
            assert anonymous.request(method, path).status_code == 401, (method, path)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8000"])
def test_s10_no_origin_is_given_leave_to_read(http: TestClient, origin: str) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    for answer in (
        http.get(f"{API}/studies", headers={"Origin": origin}),
        http.options(f"{API}/studies", headers=preflight),
        http.options("/healthz", headers=preflight),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_s11_every_answer_keeps_browsers_in_bounds(http: TestClient) -> None:
    for path in ("/", "/login", "/healthz", "/nowhere", f"{API}/studies", f"{API}/studies/none", "/docs"):
        for host in ("127.0.0.1:8000", "evil.example"):
            headers = http.get(path, headers={"Host": host, "Accept": "text/html"}).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert "unsafe" not in headers["content-security-policy"], path
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
