import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.server import background
from api.settings import Settings
from hpsearch.home import Home
from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.api.test_checkpoints import digest, put
from tests.cli.conftest import Hpsearch, _apart, hpsearch
from tests.operations.served import asking

__all__ = ["_apart", "hpsearch"]


def play(http: Any, name: str, points: int = 4, plan: int | None = None) -> list[int]:
    """A study of `plan` trials, of which `points` end with the values 0, 1, 2 ...; their ids."""
    post_spec(http, grid_spec(name, points=plan or points))
    worker = register(http, f"worker-{name}")
    trials = []
    for number in range(points):
        (leased,) = lease(http, worker, request_id=f"{name}-request-{number}").leases
        owner = {"X-Worker-Id": str(worker)}
        body = {"seq": 0, "series": {"loss": {"steps": [1], "values": [0.5]}}}
        http.post(f"{API}/leases/{leased.run_id}/metrics", json=body, headers=owner)
        http.post(f"{API}/leases/{leased.run_id}/logs", json={"seq": 1, "log": "words"}, headers=owner)
        for kind in ("best", "last"):
            content = f"{name} {number} {kind}".encode()
            assert (
                put(http, worker, leased.run_id, content, sha256=digest(content), name=kind).status_code
                == 200
            )
        done = http.post(
            f"{API}/leases/{leased.run_id}/complete", json={"seq": 2, "value": float(number)}, headers=owner
        )
        assert done.status_code == 200, done.text
        trials.append(leased.trial_id)
    return trials


def kept(http: Any, trials: list[int]) -> list[bool]:
    """Which of the trials have curve, log and both checkpoints; none may have a part of them."""
    found = []
    for trial in trials:
        has = {
            bool(http.get(f"{API}/trials/{trial}/metrics").json()),
            any(one["text"] for one in http.get(f"{API}/trials/{trial}/logs").json()),
            *(
                http.get(f"{API}/trials/{trial}/checkpoints/{kind}").status_code == 200
                for kind in ("best", "last")
            ),
        }
        assert len(has) == 1, trial
        found.append(has.pop())
    return found


def stored(settings: Settings) -> list[Path]:
    return list(settings.home.checkpoints.rglob("*.safetensors"))


def test_the_best_keep_all_and_the_others_their_results_over_each_database(
    database_url: str, tmp_path: Path
) -> None:
    time = datetime(2030, 1, 1, tzinfo=UTC)
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url)
    with TestClient(create_app(settings, clock=lambda: time), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        old = play(http, "old")
        time += timedelta(days=31)
        new = play(http, "new")
        before = [http.get(f"{API}/trials/{trial}").json() for trial in old]
        rule = {"days": 30, "keep_best": 2}
        dry = http.post(f"{API}/maintenance:prune", json={**rule, "dry_run": True}).json()
        assert kept(http, old) == [True] * 4
        pruned = http.post(f"{API}/maintenance:prune", json=rule).json()
        assert {**pruned, "files": 0, "dry_run": True} == dry
        assert (pruned["curves"], pruned["checkpoints"], pruned["files"]) == (2, 4, 4)
        assert kept(http, old) == [False, False, True, True]
        assert kept(http, new) == [True] * 4
        assert [http.get(f"{API}/trials/{trial}").json() for trial in old] == before
        assert http.get(f"{API}/studies/old/best").json()["best"][0]["value"] == 3.0
        again = http.post(f"{API}/maintenance:prune", json=rule).json()
        assert (again["curves"], again["checkpoints"], again["files"]) == (0, 0, 0)
    assert len(stored(settings)) == 12


def test_a_study_without_curves_and_checkpoints_is_not_spoken_of(http: TestClient) -> None:
    play(http, "ended", points=2)
    post_spec(http, grid_spec("cancelled", points=2))
    http.post(f"{API}/studies/cancelled/cancel")
    pruned = http.post(f"{API}/maintenance:prune", json={"days": 0, "keep_best": 1}).json()
    assert pruned["studies"] == [http.get(f"{API}/studies/ended").json()["id"]]


def test_a_study_under_way_is_left_alone(http: TestClient) -> None:
    ended = play(http, "ended", points=2)
    under_way = play(http, "under-way", points=2, plan=3)
    assert http.get(f"{API}/studies/under-way").json()["state"] == "running"
    pruned = http.post(f"{API}/maintenance:prune", json={"days": 0, "keep_best": 1}).json()
    assert len(pruned["studies"]) == 1
    assert kept(http, ended) == [False, True]
    assert kept(http, under_way) == [True, True]


def test_only_an_admin_prunes(http: TestClient) -> None:
    made = http.post(f"{API}/tokens", json={"name": "u", "scope": "user"}).json()["secret"]
    answer = http.post(f"{API}/maintenance:prune", json={}, headers={"Authorization": f"Bearer {made}"})
    assert answer.status_code == 403


@pytest.mark.parametrize("rule", [{"days": -1}, {"keep_best": 0}, {"days": "NaN"}, {"all": True}])
def test_a_rule_that_is_none_is_refused(http: TestClient, rule: dict[str, Any]) -> None:
    assert http.post(f"{API}/maintenance:prune", json=rule).status_code == 422


def test_the_server_prunes_by_itself_when_told_to(settings: Settings) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        trials = play(http, "ended")
    tidy = settings.model_copy(update={"retention_days": 0.0, "retention_best": 1})
    with TestClient(create_app(tidy), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        assert kept(http, trials) == [False, False, False, True]


def test_the_command_says_what_it_would_drop(settings: Settings, hpsearch: Hpsearch) -> None:
    with background(settings) as address, asking(address.url, settings.home) as http:
        trials = play(http, "ended")
        options = ["--home", settings.home.path, "--days", "0", "--keep-best", "1"]
        dry = hpsearch("db", "prune", *options, "--dry-run")
        assert "would drop 3 stretches of curves and 6 checkpoints of 1 study\n" in dry.err
        assert kept(http, trials) == [True] * 4
        done = hpsearch("db", "prune", *options, "--json")
        assert json.loads(done.out)["files"] == 6
        assert kept(http, trials) == [False, False, False, True]
