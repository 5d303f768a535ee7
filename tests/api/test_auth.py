import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, WebSocketRoute

from api.app import create_app
from api.auth import OPEN_PATHS, Allow
from api.settings import Settings
from tests.api.scenes import API, grid_spec, post_spec, problem

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def paths(app: FastAPI) -> list[str]:
    """Every path of the schema and of the router, parameters filled in."""
    found = set(app.openapi()["paths"]) | {getattr(route, "path", "") for route in app.routes}
    return sorted({re.sub(r"\{[^}]*\}", "1", path) or "/" for path in found})


def test_every_route_needs_a_token_but_for_a_literal_few(app: FastAPI, anonymous: TestClient) -> None:
    tried = [path for path in paths(app) if path not in OPEN_PATHS]
    assert len(tried) > 30
    for path in [*tried, "/nowhere", "/openapi.json", "/docs", "/static/../api/v1/studies"]:
        for method in METHODS:
            answer = anonymous.request(method, path)
            assert answer.status_code == 401, (method, path, answer.status_code)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_the_open_paths_answer_without_a_token(anonymous: TestClient) -> None:
    assert {"/healthz", "/readyz", "/version", "/login"} == OPEN_PATHS
    for path in OPEN_PATHS:
        assert anonymous.get(path).status_code == 200


def test_every_route_names_its_roles(app: FastAPI) -> None:
    routes = list(leaves(app.routes))
    assert len(routes) > 40
    for route in routes:
        if route.path in ("/openapi.json", "/static/{name}", *OPEN_PATHS):
            continue
        guards = [d.call for d in route.dependant.dependencies if isinstance(d.call, Allow)]
        assert guards, route.path


def leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes of included routers too; nothing that could hold more of them, or a socket, is mounted."""
    for route in routes:
        assert not isinstance(route, Mount | WebSocketRoute)
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else leaves(included.routes)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer x", "Bearer " + "x" * 10_000, "Bearer é"],
)
def test_a_header_that_is_no_good_token_is_401(http: TestClient, header: str) -> None:
    token = http.headers["Authorization"].removeprefix("Bearer ")
    answer = http.get(f"{API}/studies", headers={"Authorization": header.format(token=token).encode()})
    problem(answer, 401, "unauthorized")


def test_a_token_in_the_query_is_never_read(http: TestClient) -> None:
    token = http.headers.pop("Authorization").removeprefix("Bearer ")
    for name in ("token", "access_token", "api_key"):
        assert http.get(f"{API}/studies", params={name: token}).status_code == 401


def test_revoked_and_expired_tokens_are_refused(settings: Settings) -> None:
    time = datetime(2030, 1, 1, tzinfo=UTC)
    with TestClient(create_app(settings, clock=lambda: time), base_url="http://127.0.0.1") as http:
        admin = {"Authorization": f"Bearer {settings.home.read_token()}"}
        body = {"name": "one", "scope": "viewer", "expires_in_seconds": 60}
        short = http.post(f"{API}/tokens", json=body, headers=admin).json()
        long = http.post(f"{API}/tokens", json={"name": "two", "scope": "viewer"}, headers=admin).json()
        assert status(http, short["secret"]) == status(http, long["secret"]) == 200
        time += timedelta(seconds=61)
        assert status(http, short["secret"]) == 401
        assert http.delete(f"{API}/tokens/{long['token']['id']}", headers=admin).status_code == 200
        assert status(http, long["secret"]) == 401


def status(http: TestClient, secret: str) -> int:
    return http.get(f"{API}/studies", headers={"Authorization": f"Bearer {secret}"}).status_code


ALLOWED = {
    "viewer": {"GET /studies", "GET /workers", "GET /metrics"},
    "user": {"GET /studies", "GET /workers", "GET /metrics", "POST /studies", "DELETE /studies/none"},
    "worker": {"POST /workers", "POST /leases"},
}
ASKED = {
    "GET /studies",
    "GET /workers",
    "GET /metrics",
    "POST /studies",
    "DELETE /studies/none",
    "POST /workers",
    "POST /leases",
    "GET /tokens",
    "POST /tokens",
    "DELETE /tokens/1",
}


@pytest.mark.parametrize("scope", sorted(ALLOWED))
def test_a_scope_opens_its_own_routes_only(http: TestClient, scope: str) -> None:
    created = http.post(f"{API}/tokens", json={"name": scope, "scope": scope}).json()
    headers = {"Authorization": f"Bearer {created['secret']}"}
    passed = set()
    for call in ASKED:
        method, path = call.split()
        answer = http.request(method, path if path == "/metrics" else API + path, headers=headers)
        if answer.status_code == 403:
            assert scope in problem(answer, 403, "forbidden")["detail"]
        else:
            passed.add(call)
    assert passed == ALLOWED[scope]


def test_bad_tokens_are_slowed_down_and_good_ones_are_not(settings: Settings) -> None:
    strict = settings.model_copy(update={"bad_tokens_per_minute": 3})
    clock = datetime(2030, 1, 1, tzinfo=UTC)
    with TestClient(create_app(strict, clock=lambda: clock), base_url="http://127.0.0.1") as http:
        answers = [http.get(f"{API}/studies", headers={"Authorization": "Bearer no"}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert answers[-1].headers["retry-after"] == "60"
        assert "the right one" in answers[-1].json()["hint"]
        assert status(http, str(settings.home.read_token())) == 200


def test_the_token_file_is_private_and_made_again_when_unknown(settings: Settings) -> None:
    with TestClient(create_app(settings)):
        first = settings.home.read_token()
    assert settings.home.token_file.stat().st_mode & 0o777 == 0o600
    with TestClient(create_app(settings)):
        assert settings.home.read_token() == first
    settings.home.write_token("hps_" + "x" * 43)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        assert status(http, str(settings.home.read_token())) == 200


def test_no_secret_is_in_the_database_or_any_answer_but_the_first(
    http: TestClient, settings: Settings
) -> None:
    created = http.post(f"{API}/tokens", json={"name": "ci", "scope": "user"}).json()
    assert created["secret"] not in http.get(f"{API}/tokens").text
    post_spec(http, grid_spec())
    for file in settings.home.path.glob("hpsearch.db*"):
        assert created["secret"].encode() not in file.read_bytes()
