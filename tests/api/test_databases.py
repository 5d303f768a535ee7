"""The whole way of a trial through HTTP, over each database."""

import json
from pathlib import Path

from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from hpsearch.home import Home
from tests.api.conftest import ORIGIN
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register
from tests.api.test_checkpoints import digest, put

NASTY = "NUL \0, a lone \ud800 surrogate, '; DROP TABLE trials; --, \u202e and <script>"


def test_a_trial_goes_its_way_over_each_database(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url)
    with TestClient(create_app(settings), base_url=ORIGIN, raise_server_exceptions=False) as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        spec = grid_spec(points=1).model_copy(update={"description": "NUL \0 and <script>"})
        assert post_spec(http, spec).status_code == 201
        worker = register(http)
        (leased,) = lease(http, worker).leases
        assert put(http, worker, leased.run_id, b"x", sha256=digest(b"x")).status_code == 200
        outcome = {"state": "completed", "value": 0.5, "metrics": {"val_loss": "NaN"}}
        one = {
            "run_id": leased.run_id,
            "seq": 0,
            "series": {"loss": {"steps": [1, 2], "values": ["NaN", 1e300]}},
            "log": "NUL \0 and \u202e",
            "outcome": outcome,
        }
        reported = http.post(f"{API}/leases:report", json={"worker_id": worker, "reports": [one]})
        assert reported.json()["results"][0]["status"] == "ok"
        assert http.get(f"{API}/studies/a-grid").json()["state"] == "completed"
        series = http.get(f"{API}/trials/{leased.trial_id}/metrics").json()
        assert series["loss"]["values"] == ["NaN", 1e300]
        assert http.get(f"{API}/trials/{leased.trial_id}/checkpoints/best").content == b"x"
        assert "event: end" in http.get(f"{API}/studies/a-grid/events").text


def test_hostile_text_is_text_or_422_over_each_database(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url)
    with TestClient(create_app(settings), base_url=ORIGIN, raise_server_exceptions=False) as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        for name in (NASTY, "".join(character for character in NASTY if character.isprintable())):
            escaped = json.dumps({"name": name, "scope": "viewer"})
            answer = http.post(f"{API}/tokens", content=escaped, headers={"Content-Type": "application/json"})
            assert answer.status_code == (422 if name is NASTY else 201), answer.text
        assert http.get(f"{API}/tokens").status_code == 200
        for key in ("'; DROP TABLE studies; --", "a\u202eb", "%F0%9F%98%80", "9" * 90):
            problem(http.get(f"{API}/studies/{key}"), 404, "not_found")
        problem(http.get(f"{API}/studies/%00"), 422, "invalid_input")
        huge = {"worker_id": 2**63 - 1, "request_id": "request-1", "wait_seconds": 0}
        problem(http.post(f"{API}/leases", json=huge), 404, "not_found")
