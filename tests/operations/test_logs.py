import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import logs
from api.redaction import redacted
from api.settings import Settings
from tests.api.scenes import API, grid_spec, lease, post_spec, register


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The process's log, set up as the server does, and taken down again."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    made = io.StringIO()
    logs.configure("debug", made)
    yield made
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_is_one_json_object_with_the_requests_ids(http: TestClient, stream: io.StringIO) -> None:
    post_spec(http, grid_spec())
    http.post(f"{API}/studies/a-grid/pause", headers={"X-Request-Id": "mine"})
    (line,) = [line for line in lines(stream) if line.get("request") == "mine"]
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert line["operation"] == "pause_study"
    assert line["study"] == "a-grid"
    assert line["status"] == 200
    assert line["by"].startswith("admin ")
    assert line["at"].endswith("Z")


def test_the_end_of_a_run_names_study_trial_run_and_worker(http: TestClient, stream: io.StringIO) -> None:
    post_spec(http, grid_spec())
    worker, thief = register(http), register(http, "thief")
    (leased,) = lease(http, worker).leases
    body = {"seq": 0, "value": 0.5}
    path = f"{API}/leases/{leased.run_id}/complete"
    http.post(path, json=body, headers={"X-Worker-Id": str(thief)})
    http.post(path, json=body, headers={"X-Worker-Id": str(worker)})
    refused, ended = [line for line in lines(stream) if line["logger"] == "hpsearch.reports"]
    assert refused["event"] == "write refused"
    assert refused["worker"] == thief
    assert ended["event"] == "run ended"
    assert (ended["run"], ended["trial"], ended["study"]) == (leased.run_id, leased.trial_id, 1)
    assert (ended["worker"], ended["state"]) == (worker, "completed")
    assert ended["request"]


def test_a_run_whose_worker_begins_again_is_told_with_its_ids(http: TestClient, stream: io.StringIO) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    register(http)
    (lost,) = [line for line in lines(stream) if line["event"] == "run lost"]
    assert (lost["run"], lost["trial"], lost["study"], lost["worker"]) == (
        leased.run_id,
        leased.trial_id,
        1,
        worker,
    )
    assert (lost["why"], lost["charged"]) == ("its worker began again", True)


def test_reading_and_workers_chatter_are_for_debugging(http: TestClient, stream: io.StringIO) -> None:
    http.get(f"{API}/studies")
    http.get(f"{API}/studies/none")
    levels = {line["operation"]: line["level"] for line in lines(stream) if line["event"] == "request"}
    assert levels == {"list_studies": "debug", "get_study": "warning"}


def test_who_made_and_revoked_which_token_and_who_came_with_it_later_is_written(
    http: TestClient, stream: io.StringIO
) -> None:
    made = http.post(f"{API}/tokens", json={"name": "node-7", "scope": "viewer"}).json()
    number, secret = made["token"]["id"], made["secret"]
    http.delete(f"{API}/tokens/{number}")
    http.get(f"{API}/studies", headers={"Authorization": f"Bearer {secret}"})
    http.get(f"{API}/studies", headers={"Authorization": "Bearer of bad news"})
    found = lines(stream)
    for event in ("token created", "token revoked"):
        (line,) = [line for line in found if line["event"] == event]
        assert (line["token"], line["named"], line["scope"]) == (number, "node-7", "viewer")
    (revoked,) = [line for line in found if line.get("operation") == "revoke_token"]
    assert revoked["token"] == number
    assert revoked["by"] == "admin token 1"
    assert [line["by"] for line in found if line.get("status") == 401] == [
        f"token {made['token']['prefix']}…",
        "nobody",
    ]
    assert secret not in stream.getvalue()


def test_s23_no_secret_is_written_whatever_carries_it(
    app: FastAPI, http: TestClient, settings: Settings, stream: io.StringIO
) -> None:
    secret = str(settings.home.read_token())

    def broken() -> None:
        local = secret  # what a richer traceback would print
        raise RuntimeError(f"no luck with {local} at postgresql://me:pa55word@db/x")

    app.add_api_route("/broken", broken)
    assert http.get("/broken").status_code == 500
    http.get(f"{API}/studies?token={secret}")
    log = logging.getLogger("anything")
    log.info("Authorization: Bearer %s", "abcdefghijkl")
    log.info("plain", extra={"token": "x" * 9, "nested": {"password": "y" * 9, "list": [secret]}})
    structlog.get_logger("other").info("told", cookie="z" * 9, text=secret)
    text = stream.getvalue()
    for word in (secret, secret[-20:], "pa55word", "abcdefghijkl", "x" * 9, "y" * 9, "z" * 9):
        assert word not in text
    assert "RuntimeError" in text
    assert "Traceback" in text
    metrics = http.get("/metrics").text
    assert secret not in metrics
    assert secret[:12] not in metrics


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hps_abcdefgh" + "x" * 35, "hps_abcdefgh…"),
        ("postgresql://u:p@h/d", "postgresql://u:…@h/d"),
        ("http://127.0.0.1:8000/x@y", "http://127.0.0.1:8000/x@y"),
        ("authorization: BEARER abc.def-ghi", "authorization: BEARER …"),
        ("the bearer of news", "the bearer of news"),
    ],
)
def test_secrets_are_recognised_in_text(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_terminal_gets_plain_text() -> None:
    record = logging.LogRecord("api", logging.INFO, "", 0, "hello", None, None)
    assert logs.formatter(terminal=False).format(record).startswith("{")
    assert "hello" in logs.formatter(terminal=True).format(record)
    assert not logs.formatter(terminal=True).format(record).startswith("{")


def test_the_libraries_speak_through_the_same_log(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("from uvicorn")
    logging.getLogger("sqlalchemy.engine").info("not each statement")
    structlog.get_logger("stamina").warning("from stamina")
    assert [line["event"] for line in lines(stream)] == ["from uvicorn", "from stamina"]
