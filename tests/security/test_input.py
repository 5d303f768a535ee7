"""S16 to S18, S20 and S22: bodies, numbers, queries and specs made to break the server."""

import json
import resource
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.scenes import API, grid_spec, post_spec, problem

JSON = {"Content-Type": "application/json"}
MIB = 2**20


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"{" + b",".join(b'"f%d":0' % n for n in range(100_000)) + b"}",
        b"[" + b"[]," * 5_000_000 + b"0]",
        b'"' + b"\\u0000" * 1_000_000 + b'"',
        b"[" + b"1" * 1_000_000 + b"]",
        b'{"worker_id": 1, "reports": [' + b"0," * 90_000 + b"0]}",
        b'{"space": {"x": {"choices": [' + b"[]," * 40_000 + b"0]}}}",
        b'{"space": {"x": [' + b"{}," * 40_000 + b"0]}}",
    ],
    ids=["lists", "objects", "fields", "empty lists", "text", "digits", "reports", "choices", "axis"],
)
def test_s16_bodies_made_to_cost_memory_cost_none(settings: Settings, body: bytes) -> None:
    wide = settings.model_copy(update={"max_body_bytes": 16 * MIB})
    with TestClient(create_app(wide), base_url="http://127.0.0.1", raise_server_exceptions=False) as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        before, started = peak_mib(), time.monotonic()
        for path in ("/studies", "/leases:report", "/tokens"):
            problem(http.post(API + path, content=body, headers=JSON), 422, "invalid_input")
        assert time.monotonic() - started < 10
        # The test's client and server share this process: the body itself is here a few times.
        assert peak_mib() - before < 50 + 4 * len(body) / MIB


def test_s16_a_gigabyte_is_refused_by_its_length_unread(http: TestClient) -> None:
    headers = {**JSON, "Content-Length": str(2**30)}
    problem(http.post(f"{API}/studies", content=b"{}", headers=headers), 413, "too_large")
    headers = {**JSON, "Content-Length": "9" * 30}
    problem(http.post(f"{API}/studies", content=b"{}", headers=headers), 413, "too_large")


NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    '"nan"',
    "9" * 50_000,
    "-0",
    "-0.0",
    '"\\ud800"',
    "1e-999",
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:12])
def test_s17_no_number_is_a_500(http: TestClient, number: str) -> None:
    spec = json.loads(grid_spec().model_dump_json())
    for place in (
        ("fixed", "momentum"),
        ("space", "learning_rate"),
        ("budget", "minutes"),
        ("seed",),
        ("recipe", "tolerance"),
    ):
        text = json.dumps(_with(spec, place, "@")).replace('"@"', number)
        for path in ("/studies", "/studies:preview"):
            answer = http.post(API + path, content=text.encode(), headers=JSON)
            assert answer.status_code in (200, 201, 409, 422), answer.text


def _with(spec: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(spec))
    inner = changed
    for name in place[:-1]:
        inner = inner.setdefault(name, {})
    inner[place[-1]] = value
    return changed


SQL = [
    "'; DROP TABLE trials; --",
    "number; DELETE FROM trials",
    "number DESC, (SELECT 1)",
    "id) --",
    "1 OR 1=1",
    "' UNION SELECT sha256 FROM tokens --",
]


@pytest.mark.parametrize("text", SQL)
def test_s18_sql_in_any_parameter_is_a_word(http: TestClient, text: str) -> None:
    post_spec(http, grid_spec())
    for name in ("order_by", "state", "stage", "page_token", "page_size"):
        answer = http.get(f"{API}/studies/a-grid/trials", params={name: text})
        problem(answer, 422, "invalid_input")
    for name in ("metric",):
        answer = http.get(f"{API}/studies/a-grid/curves", params={name: text})
        assert answer.json()["curves"] == []
    problem(http.get(f"{API}/studies/{text}"), 404, "not_found")
    assert http.get(f"{API}/studies/a-grid/trials").json()["total"] == 2


@pytest.mark.parametrize("size", ["1000000", "1001", "-1", "0", "1e3", "9" * 30])
def test_s18_pages_have_a_largest_size(http: TestClient, size: str) -> None:
    post_spec(http, grid_spec())
    for path in ("/studies", "/studies/a-grid/trials"):
        problem(http.get(API + path, params={"page_size": size}), 422, "invalid_input")


TASKS: list[Any] = [
    "os:system",
    {"kind": "file", "file": "../x.py", "class_name": "C", "sha256": "0" * 64},
    {"kind": "file", "file": "/etc/x.py", "class_name": "C", "sha256": "0" * 64},
    {"kind": "file", "file": "a\\..\\x.py", "class_name": "C", "sha256": "0" * 64},
    {"kind": "file", "file": "x.py", "class_name": "os.system", "sha256": "0" * 64},
    {"kind": "file", "file": "x.py", "class_name": "C", "sha256": "none"},
    {"kind": "module", "module": "os", "function": "system"},
    {"kind": "named", "dataset": "digits", "model": "mlp", "env": {"LD_PRELOAD": "x.so"}},
    {"kind": "named", "dataset": "digits", "model": "mlp", "working_dir": "/"},
    {"kind": "named", "dataset": "../digits", "model": "mlp"},
    {"kind": "named", "dataset": "digits", "model": "__import__('os')"},
]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_s20_a_spec_can_not_name_code_that_a_worker_did_not_offer(http: TestClient, task: Any) -> None:
    spec = {**grid_spec().model_dump(mode="json"), "task": task}
    problem(http.post(f"{API}/studies", json=spec), 422, "invalid_input")


@pytest.mark.parametrize("key", ["env", "environment", "working_dir", "cwd", "image", "callbacks"])
def test_s20_a_spec_has_no_key_for_a_workers_surroundings(http: TestClient, key: str) -> None:
    spec = {**grid_spec().model_dump(mode="json"), key: {"LD_PRELOAD": "x.so"}}
    assert key in problem(http.post(f"{API}/studies", json=spec), 422, "invalid_input")["detail"]


@pytest.mark.parametrize("kind", ["application/yaml", "text/yaml", "application/x-yaml"])
def test_s22_the_server_reads_no_yaml(http: TestClient, kind: str) -> None:
    text = "name: !!python/object/apply:os.system ['touch /tmp/owned']"
    problem(
        http.post(f"{API}/studies", content=text, headers={"Content-Type": kind}),
        415,
        "unsupported_media_type",
    )
