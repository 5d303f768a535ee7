"""The time left, on the pages and over REST, by a clock that stands."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.conftest import ORIGIN
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register
from tests.conftest import Clock

HTML = {"Accept": "text/html"}


@pytest.fixture
def standing(settings: Settings, clock: Clock) -> Iterator[TestClient]:
    """The application on the test's clock, asked by its admin."""
    app = create_app(settings, clock=lambda: clock.now)
    with TestClient(app, base_url=ORIGIN) as client:
        client.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        yield client


def told(http: TestClient, path: str) -> str:
    """The page's words, without tags and line breaks."""
    return " ".join(re.sub(r"<[^>]+>", " ", http.get(path, headers=HTML).text).split())


def test_the_time_left_is_told_once_a_trial_has_ended(standing: TestClient, clock: Clock) -> None:
    post_spec(standing, grid_spec(points=4))
    assert standing.get(f"{API}/studies/a-grid/eta").json() == {
        "seconds": None, "whole": False, "reason": "no worker",
    }  # fmt: skip
    assert "no worker" in told(standing, "/")
    assert "Time left unknown: no worker" in told(standing, "/studies/a-grid")
    worker = register(standing)
    (one,) = lease(standing, worker).leases
    assert 'id="eta"' not in standing.get("/studies/a-grid", headers=HTML).text
    clock.advance(60)
    body = {"seq": 0, "value": 0.5, "metrics": {"val_loss": 1.0}}
    owner = {"X-Worker-Id": str(worker)}
    assert standing.post(f"{API}/leases/{one.run_id}/complete", json=body, headers=owner).status_code == 200
    assert standing.get(f"{API}/studies/a-grid/eta").json() == {"seconds": 180, "whole": True, "reason": ""}
    assert "about 3 min" in told(standing, "/")
    assert "About 3 min left" in told(standing, "/studies/a-grid")
    standing.post(f"{API}/studies/a-grid/pause")
    assert "Time left unknown: paused" in told(standing, "/studies/a-grid")
    problem(standing.get(f"{API}/studies/none/eta"), 404, "not_found")
