import re
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.resources import open_resources
from api.settings import Settings
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store.engine import Database
from tests.api.scenes import API, grid_spec, lease, post_spec, register


def test_a_server_that_can_work_is_ready(anonymous: TestClient) -> None:
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "schema": "ok", "disk": "ok"}}


def test_a_full_disk_is_not_ready(settings: Settings) -> None:
    full = settings.model_copy(update={"min_free_mib": 10**9})
    with TestClient(create_app(full), base_url="http://127.0.0.1") as http:
        deadline = time.monotonic() + 10
        while (answer := http.get("/readyz")).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.02)  # the disk is looked at by the server's first tick
    assert answer.status_code == 503
    assert re.search(r"\d+ MiB are free", answer.json()["checks"]["disk"])


def test_a_database_that_is_gone_is_not_ready(settings: Settings) -> None:
    with (
        open_resources(settings) as held,
        TestClient(create_app(resources=held), base_url="http://127.0.0.1") as http,
    ):
        # Other files under the old names: writing into those that an open connection maps would kill this process.
        for file in settings.home.path.glob("hpsearch.db*"):
            file.unlink()
        (settings.home.path / "hpsearch.db").write_bytes(b"not a database" * 1_000)
        held.db.close()
        answer = http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["database"] != "ok"


@pytest.mark.parametrize(("revision", "state", "status"), [("0000", "newer", 200), (None, "foreign", 503)])
def test_the_schema_is_compared_over_each_database(
    database_url: str, tmp_path: Path, revision: str | None, state: str, status: int
) -> None:
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        assert http.get("/readyz").json()["checks"]["schema"] == "ok"
        other = Database.open(database_url, migrate=False)
        with other.write() as tx:
            tx.execute(text("DELETE FROM alembic_version"))
            if revision is not None:
                tx.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
        assert schema_state(other) == state
        other.close()
        assert http.get("/readyz").status_code == status


def test_metrics_count_rows_requests_and_refusals(http: TestClient) -> None:
    post_spec(http, grid_spec())
    lease(http, register(http))
    http.get(f"{API}/studies/none")
    http.get(f"{API}/studies", headers={"Authorization": "Bearer no"})
    text = http.get("/metrics").text
    assert 'hpsearch_studies{state="running"} 1.0' in text
    assert 'hpsearch_trials{state="running"} 1.0' in text
    assert 'hpsearch_workers{state="active"} 1.0' in text
    assert 'hpsearch_request_seconds_count{method="POST",operation="create_study",status="201"} 1.0' in text
    assert 'hpsearch_request_seconds_count{method="GET",operation="get_study",status="404"} 1.0' in text
    assert 'hpsearch_refused_total{status="401"} 1.0' in text
    assert "hpsearch_leases_lost_total 0.0" in text


def test_a_callers_words_are_no_labels(http: TestClient) -> None:
    for n in range(20):
        http.get(f"/nowhere-{n}")
        http.request(f"METHOD{n}", f"{API}/studies")
    text = http.get("/metrics").text
    assert "nowhere" not in text
    assert "METHOD" not in text
    assert text.count('operation="other"') < 40


def test_metrics_are_not_for_workers_or_strangers(http: TestClient) -> None:
    made = http.post(f"{API}/tokens", json={"name": "w", "scope": "worker"}).json()["secret"]
    assert http.get("/metrics", headers={"Authorization": f"Bearer {made}"}).status_code == 403
    http.headers.pop("Authorization")
    assert http.get("/metrics").status_code == 401
