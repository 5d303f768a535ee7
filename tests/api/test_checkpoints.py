import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.checkpoints import StoredFile, Upload
from api.settings import Settings
from api.upkeep import tidy
from hpsearch.errors import Unavailable
from hpsearch.service import checkpoints
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register

CONTENT = b"weights" * 1_000


@pytest.fixture
def leased(http: TestClient) -> tuple[int, int, int]:
    """(worker, run, trial) of a trial under way."""
    post_spec(http, grid_spec())
    worker = register(http)
    (one,) = lease(http, worker).leases
    return worker, one.run_id, one.trial_id


def put(
    http: TestClient,
    worker: int,
    run: int,
    content: bytes | Iterator[bytes],
    *,
    sha256: str,
    name: str = "best",
    step: int = 10,
) -> Any:
    headers = {"X-Worker-Id": str(worker), "X-Content-SHA256": sha256}
    return http.put(
        f"{API}/leases/{run}/checkpoints/{name}", params={"step": step}, content=content, headers=headers
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(settings: Settings) -> list[Path]:
    return [path for path in settings.home.checkpoints.rglob("*") if path.is_file()]


def test_a_checkpoint_comes_back_as_it_was_sent(http: TestClient, leased: tuple[int, int, int]) -> None:
    worker, run, trial = leased
    stored = put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    assert stored.json() == {
        "trial_id": trial,
        "run_id": run,
        "name": "best",
        "step": 10,
        "size": len(CONTENT),
        "sha256": digest(CONTENT),
    }
    answer = http.get(f"{API}/trials/{trial}/checkpoints/best")
    assert answer.content == CONTENT
    assert answer.headers["x-content-sha256"] == digest(CONTENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    problem(http.get(f"{API}/trials/{trial}/checkpoints/last"), 404, "not_found")


def test_a_damaged_upload_leaves_nothing(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    problem(put(http, worker, run, CONTENT[:-1], sha256=digest(CONTENT)), 422, "invalid_input")
    problem(put(http, worker, run, CONTENT, sha256="no digest"), 422, "invalid_input")
    assert files(settings) == []
    problem(http.get(f"{API}/trials/{trial}/checkpoints/best"), 404, "not_found")


def test_a_large_upload_is_written_while_it_comes(
    http: TestClient, leased: tuple[int, int, int], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.checkpoints.BUFFER", 1_000)
    worker, run, trial = leased

    def chunks() -> Iterator[bytes]:
        return (CONTENT[at : at + 300] for at in range(0, len(CONTENT), 300))

    problem(put(http, worker, run, chunks(), sha256=digest(CONTENT[1:])), 422, "invalid_input")
    problem(put(http, worker, 999, chunks(), sha256=digest(CONTENT)), 409, "lease_lost")
    assert files(settings) == []
    assert put(http, worker, run, chunks(), sha256=digest(CONTENT)).status_code == 200
    assert http.get(f"{API}/trials/{trial}/checkpoints/best").content == CONTENT
    assert len(files(settings)) == 1


def test_an_upload_without_a_lease_changes_nothing(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    other = register(http, "other")
    for content in (CONTENT, b"others"):
        problem(put(http, other, run, content, sha256=digest(content)), 409, "lease_lost")
    problem(put(http, worker, 999, CONTENT, sha256=digest(CONTENT)), 409, "lease_lost")
    assert len(files(settings)) == 1
    assert http.get(f"{API}/trials/{trial}/checkpoints/best").content == CONTENT


@pytest.mark.parametrize("stored", [True, False])
def test_a_file_whose_registration_was_not_answered_stays_where_it_was_registered(
    http: TestClient,
    leased: tuple[int, int, int],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    stored: bool,
) -> None:
    worker, run, trial = leased
    register_all = checkpoints.register_all

    def unanswered(*arguments: Any, **named: Any) -> None:
        if stored:
            register_all(*arguments, **named)
        raise Unavailable("the connection was lost")

    with monkeypatch.context() as broken:
        broken.setattr(checkpoints, "register_all", unanswered)
        problem(put(http, worker, run, CONTENT, sha256=digest(CONTENT)), 503, "unavailable")
    assert len(files(settings)) == (1 if stored else 0)
    if stored:
        assert http.get(f"{API}/trials/{trial}/checkpoints/best").content == CONTENT


def test_two_files_of_a_name_are_kept_and_the_newest_is_given(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    for step in range(4):
        content = f"step {step}".encode()
        assert (
            put(http, worker, run, content, sha256=digest(content), name="last", step=step).status_code == 200
        )
    assert len(files(settings)) == 2
    assert http.get(f"{API}/trials/{trial}/checkpoints/last").content == b"step 3"


def test_an_upload_that_comes_after_a_later_one_leaves_what_is_there(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    newer = put(http, worker, run, b"newer", sha256=digest(b"newer"), name="last", step=20).json()
    late = put(http, worker, run, b"late", sha256=digest(b"late"), name="last", step=10)
    assert (late.status_code, late.json()) == (200, newer)
    assert http.get(f"{API}/trials/{trial}/checkpoints/last").content == b"newer"
    assert len(files(settings)) == 1


def test_a_file_that_newer_ones_replaced_before_it_was_registered_is_to_be_sent_again(
    http: TestClient, leased: tuple[int, int, int], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT), name="last")
    finish = Upload.finish

    def replaced(upload: Upload, rest: bytes) -> StoredFile:
        stored = finish(upload, rest)
        stored.path.unlink()
        return stored

    with monkeypatch.context() as slow:
        slow.setattr(Upload, "finish", replaced)
        answer = put(http, worker, run, b"late", sha256=digest(b"late"), name="last", step=20)
    assert "no longer there" in problem(answer, 503, "unavailable")["detail"]
    assert http.get(f"{API}/trials/{trial}/checkpoints/last").content == CONTENT


def test_a_file_above_the_cap_is_413(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    content = b"x" * (settings.max_checkpoint_bytes + 1)
    problem(put(http, worker, run, content, sha256=digest(content)), 413, "too_large")
    chunks = (content[at : at + 1_000] for at in range(0, len(content), 1_000))
    problem(put(http, worker, run, chunks, sha256=digest(content)), 413, "too_large")
    assert files(settings) == []


@pytest.mark.parametrize(
    "name", ["other", "..%2Fbest", "%2e%2e", "best%00", "..\\best", "best;/../x", "x" * 300]
)
def test_other_names_never_reach_the_disk(
    http: TestClient, leased: tuple[int, int, int], settings: Settings, name: str
) -> None:
    worker, run, trial = leased
    answer = put(http, worker, run, CONTENT, sha256=digest(CONTENT), name=name)
    assert answer.status_code in (404, 422)
    assert http.get(f"{API}/trials/{trial}/checkpoints/{name}").status_code in (404, 422)
    assert files(settings) == []


def test_a_link_or_a_missing_file_is_not_followed(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    (file,) = files(settings)
    file.unlink()
    problem(http.get(f"{API}/trials/{trial}/checkpoints/best"), 404, "not_found")
    file.symlink_to(settings.home.token_file)
    problem(http.get(f"{API}/trials/{trial}/checkpoints/best"), 404, "not_found")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-6", 0, 6),
        ("bytes=6990-", 6990, 6999),
        ("bytes=-3", 6997, 6999),
        ("bytes=10-99999", 10, 6999),
    ],
)
def test_one_range_is_served(
    http: TestClient, leased: tuple[int, int, int], asked: str, first: int, last: int
) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    answer = http.get(f"{API}/trials/{trial}/checkpoints/best", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.parametrize(
    "asked", ["bytes=7000-", "bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,2-3", "bytes=-0"]
)
def test_a_range_that_is_none_is_416(http: TestClient, leased: tuple[int, int, int], asked: str) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    answer = http.get(f"{API}/trials/{trial}/checkpoints/best", headers={"Range": asked})
    problem(answer, 416, "range_not_satisfiable")


def test_deleting_a_study_removes_its_files(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    problem(http.delete(f"{API}/studies/a-grid"), 409, "conflict")
    http.post(f"{API}/studies/a-grid/cancel")
    http.post(f"{API}/leases/{run}/release", json={"seq": 0}, headers={"X-Worker-Id": str(worker)})
    assert http.delete(f"{API}/studies/a-grid").status_code == 204
    assert files(settings) == []
    problem(http.get(f"{API}/studies/a-grid"), 404, "not_found")


def run_again(http: TestClient, worker: int, run: int) -> int:
    """The run is given back, and its trial is leased anew."""
    headers = {"X-Worker-Id": str(worker)}
    assert http.post(f"{API}/leases/{run}/release", json={"seq": 0}, headers=headers).status_code == 200
    (one,) = lease(http, worker, f"request-after-{run}").leases
    return one.run_id


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_where_the_newest_checkpoint_is_damaged_the_one_before_it_is_given_and_then_none(
    http: TestClient, leased: tuple[int, int, int], settings: Settings, damage: str
) -> None:
    worker, run, trial = leased
    put(http, worker, run, CONTENT, sha256=digest(CONTENT), name="last")
    second = run_again(http, worker, run)
    newer = CONTENT + b"more"
    put(http, worker, second, newer, sha256=digest(newer), name="last")
    where = f"{API}/trials/{trial}/checkpoints/last"
    assert http.get(where).content == newer

    for run_id, following in ((second, CONTENT), (run, None)):
        (file,) = (path for path in files(settings) if path.parent.name == str(run_id))
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(content if damage == "flipped" else content[:-1])
        answer = http.get(where)
        if following is None:
            problem(answer, 404, "not_found")
        else:
            assert answer.content == following


def test_where_a_runs_newest_checkpoint_is_damaged_its_one_before_is_given(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    for step in (10, 20, 30):
        content = b"state %d" % step
        put(http, worker, run, content, sha256=digest(content), name="last", step=step)
    kept = {path.read_bytes(): path for path in files(settings)}
    assert set(kept) == {b"state 20", b"state 30"}
    kept[b"state 30"].write_bytes(b"stale 30")
    answer = http.get(f"{API}/trials/{trial}/checkpoints/last")
    assert answer.content == b"state 20"
    assert answer.headers["X-Checkpoint-Step"] == "20"


def test_a_packed_file_is_not_taken(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    own = {"X-Worker-Id": str(worker), "X-Content-SHA256": digest(CONTENT), "Content-Encoding": "gzip"}
    answer = http.put(
        f"{API}/leases/{run}/checkpoints/best",
        params={"step": 1},
        content=gzip.compress(CONTENT),
        headers=own,
    )
    problem(answer, 415, "unsupported_media_type")
    assert files(settings) == []


def test_on_a_disk_that_is_nearly_full_what_room_is_left_belongs_to_results(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    disk = http.app.state.resources.disk  # type: ignore[attr-defined]
    disk.problem = "only 3 MiB are free on the server's disk"
    answer = put(http, worker, run, CONTENT, sha256=digest(CONTENT))
    assert "only 3 MiB" in problem(answer, 503, "unavailable")["detail"]
    assert files(settings) == []


def test_what_a_killed_server_left_of_an_upload_is_removed_after_an_hour(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    assert put(http, worker, run, CONTENT, sha256=digest(CONTENT)).status_code == 200
    (kept,) = files(settings)
    old, fresh = kept.with_name("last-old.part"), kept.with_name("last-fresh.part")
    for part in (old, fresh):
        part.write_bytes(b"half")
    now = time.time()
    os.utime(old, (now - 4_000, now - 4_000))
    tidy(http.app.state.resources)  # type: ignore[attr-defined]
    assert set(files(settings)) == {kept, fresh}


def test_an_upload_that_is_cut_off_is_no_error_of_the_servers_and_leaves_nothing(
    http: TestClient, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, _ = leased
    arriving = iter(
        [{"type": "http.request", "body": CONTENT[:100], "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(arriving)

    async def send(message: Any) -> None:
        sent.append(message)

    own = {"host": http.base_url.host, "x-worker-id": str(worker), "x-content-sha256": digest(CONTENT)}
    headers = {**http.headers, **own}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": f"{API}/leases/{run}/checkpoints/best",
        "query_string": b"step=10",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    assert http.portal is not None
    http.portal.call(http.app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert files(settings) == []
