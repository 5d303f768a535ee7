import gzip
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.strict_json import NotUtf8, parse_json
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register

JSON = {"Content-Type": "application/json"}


def report_body(worker: int, run: int, values: str) -> bytes:
    """A report as raw text, so that it may hold what no JSON library writes."""
    return (
        f'{{"worker_id": {worker}, "reports": [{{"run_id": {run}, "seq": 0, '
        f'"series": {{"loss": {{"steps": [1, 2], "values": [{values}]}}}}}}]}}'
    ).encode()


@pytest.fixture
def run(http: TestClient) -> tuple[int, int, int]:
    """(worker, run, trial) of a trial under way."""
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    return worker, leased.run_id, leased.trial_id


def test_non_finite_numbers_travel_as_strings_both_ways(http: TestClient, run: tuple[int, int, int]) -> None:
    worker, run_id, trial = run
    body = report_body(worker, run_id, '"NaN", "-Infinity"')
    assert http.post(f"{API}/leases:report", content=body, headers=JSON).status_code == 200
    metrics = http.get(f"{API}/trials/{trial}/metrics")
    assert metrics.json()["loss"] == {"steps": [1, 2], "values": ["NaN", "-Infinity"]}
    outcome = {"seq": 1, "value": "NaN", "metrics": {"loss": "Infinity"}, "measurements": {"a": ["NaN", 1.0]}}
    done = http.post(f"{API}/leases/{run_id}/diverged", json=outcome, headers={"X-Worker-Id": str(worker)})
    assert done.status_code == 200, done.text
    record = http.get(f"{API}/trials/{trial}").json()
    assert record["metrics"]["loss"] == "Infinity"
    assert record["measurements"]["a"] == ["NaN", 1.0]
    listed = http.get(f"{API}/studies/a-grid/trials").json()["trials"][0]
    assert listed["metrics"] == record["metrics"]
    exported = http.get(f"{API}/studies/a-grid/export", params={"format": "jsonl"}).text.splitlines()[0]
    assert json.loads(exported, parse_constant=pytest.fail)["metrics"] == {"loss": "Infinity"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "1" * 5_000])
def test_numbers_that_json_does_not_have_are_422(
    http: TestClient, run: tuple[int, int, int], number: str
) -> None:
    worker, run_id, _ = run
    body = report_body(worker, run_id, f"1.0, {number}")
    problem(http.post(f"{API}/leases:report", content=body, headers=JSON), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"name": "\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"worker_id": 1e400}',
    ],
)
def test_bodies_that_make_no_sense_are_422(http: TestClient, body: bytes) -> None:
    for path in ("/studies", "/leases:report", "/tokens"):
        problem(http.post(API + path, content=body[:99_000], headers=JSON), 422, "invalid_input")


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]
)
def test_a_body_in_another_encoding_than_utf_8_is_400(http: TestClient, encoding: str) -> None:
    body = '{"name": "Zoë", "scope": "viewer"}'.encode(encoding)
    said = problem(http.post(f"{API}/tokens", content=body, headers=JSON), 400, "bad_request")
    assert "UTF-8" in said["detail"]
    assert len(http.get(f"{API}/tokens").json()["tokens"]) == 1


def test_a_body_may_begin_with_the_mark_that_some_editors_write(http: TestClient) -> None:
    body = '{"name": "Zoë", "scope": "viewer"}'.encode("utf-8-sig")
    answer = http.post(f"{API}/tokens", content=body, headers=JSON)
    assert answer.json()["token"]["name"] == "Zoë"


def test_a_body_that_is_not_declared_as_json_is_not_read(http: TestClient) -> None:
    spec = grid_spec().model_dump_json()
    answer = http.post(f"{API}/studies", content=spec, headers={"Content-Type": "text/plain"})
    assert "application/json" in problem(answer, 415, "unsupported_media_type")["hint"]
    assert http.get(f"{API}/studies").json()["total"] == 0


def test_a_large_body_is_413_whether_its_length_is_told_or_not(http: TestClient) -> None:
    big = json.dumps({"name": "x" * 200_000}).encode()
    problem(http.post(f"{API}/tokens", content=big, headers=JSON), 413, "too_large")
    chunks = (big[at : at + 1_000] for at in range(0, len(big), 1_000))
    problem(http.post(f"{API}/tokens", content=chunks, headers=JSON), 413, "too_large")


def test_gzip_bodies_are_read(http: TestClient) -> None:
    body = gzip.compress(b'{"name": "zipped", "scope": "viewer"}')
    answer = http.post(f"{API}/tokens", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 201
    assert answer.json()["token"]["name"] == "zipped"


def test_a_gzip_bomb_is_413(http: TestClient) -> None:
    bomb = gzip.compress(b'{"name": "' + b"x" * 50_000_000 + b'"}')
    assert len(bomb) < 100_000
    answer = http.post(f"{API}/tokens", content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [("gzip", b"not gzip", 400), ("deflate", zlib.compress(b"{}"), 415), ("br", b"x", 415)],
)
def test_other_encodings_are_refused(http: TestClient, encoding: str, body: bytes, status: int) -> None:
    answer = http.post(f"{API}/tokens", content=body, headers={**JSON, "Content-Encoding": encoding})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"-0", 0), (b"9223372036854775807", 2**63 - 1), (b'["NaN"]', ["NaN"]), (b"1e-400", 0.0)],
)
def test_plain_json_is_read_as_it_is(text: bytes, value: Any) -> None:
    assert parse_json(text) == value


def test_depth_is_counted_exactly() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32)
    with pytest.raises(json.JSONDecodeError, match="32 levels"):
        parse_json(b"[" * 33 + b"]" * 33)


def test_values_are_counted_before_they_are_made() -> None:
    assert len(parse_json(b"[" + b"0," * 99_990 + b"0]")) == 99_991
    for bomb in (b"[" + b"[]," * 200_000 + b"0]", b'{"a":' * 10 + b"[" + b"0," * 200_000 + b"0]" + b"}" * 10):
        with pytest.raises(json.JSONDecodeError, match="100,000 values"):
            parse_json(bomb)


def test_separators_inside_text_are_text() -> None:
    log = "loss: 0.5, accuracy: [0.1, {" * 50_000 + '\\ "quoted\\"'
    assert parse_json(json.dumps({"log": log}).encode()) == {"log": log}


MANY = b"[" + b"," * 100_001
STRING_BOMBS = [
    pytest.param(MANY, b'"', b'\\"', id="escaped quotes without an end"),
    pytest.param(MANY, b'"', b"\\", id="backslashes without an end"),
    pytest.param(MANY, b"", b'""', id="strings side by side"),
    pytest.param(b'["' + b"," * 100_001 + b'"', b"", b',"a"', id="strings after a long one"),
]


@pytest.mark.parametrize(("head", "begun", "more"), STRING_BOMBS)
def test_what_counting_costs_grows_with_the_body_and_no_faster(
    head: bytes, begun: bytes, more: bytes
) -> None:
    small, large = head + begun + more * 2_000, head + begun + more * 16_000
    # Eight times as much of it, beside the head that both have; by a square it would be some thirty times as long.
    assert seconds_to_refuse(large) < 12 * seconds_to_refuse(small)


def seconds_to_refuse(body: bytes) -> float:
    """The shortest of three tries: the machine has other things to do."""
    return min(_seconds_to_refuse(body) for _ in range(3))


def _seconds_to_refuse(body: bytes) -> float:
    started = time.perf_counter()
    with pytest.raises(json.JSONDecodeError):
        parse_json(body)
    return time.perf_counter() - started


@pytest.mark.parametrize(
    ("head", "begun", "more"), [*STRING_BOMBS, pytest.param(MANY, b'"', b"a", id="text")]
)
def test_counting_takes_no_more_memory_than_the_body_twice(head: bytes, begun: bytes, more: bytes) -> None:
    body = head + begun + more * (2**20 // len(more))
    tracemalloc.start()
    try:
        with pytest.raises(json.JSONDecodeError, match="100,000 values"):
            parse_json(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body) + 500_000


@pytest.mark.parametrize("escaped", ['"', "\\", '\\"', '\\\\",[', "\n,", "\u0022,[{:"])
def test_values_are_told_from_text_whatever_is_escaped_in_it(escaped: str) -> None:
    text = escaped * 60_000
    value = {"log": text, "values": [0] * 50_000}
    assert parse_json(json.dumps(value).encode()) == value
    with pytest.raises(json.JSONDecodeError, match="100,000 values"):
        parse_json(json.dumps({"log": text, "values": [0] * 100_000}).encode())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16"])
def test_values_can_not_be_hidden_in_another_encoding(encoding: str) -> None:
    # In UTF-16 this sign holds a quote's byte: bytes that are read one by one seem to be one long string.
    hidden = '["∀",' + "[]," * 101_000 + '"∀"]'
    with pytest.raises(NotUtf8):
        parse_json(hidden.encode(encoding))


@pytest.mark.parametrize("body", [b"\xff", b'"\xed\xa0\x80"', b'"\xc0\xa2"', b"[\x00]\x00"])
def test_bytes_that_are_no_utf_8_are_no_json(body: bytes) -> None:
    with pytest.raises(NotUtf8):
        parse_json(body)
