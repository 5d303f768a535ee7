"""What tests of the pages do to their server again and again."""

import itertools
from typing import Any

from hpsearch.wire import Lease
from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.pages.conftest import Window
from tests.recipe.world import plan_of, threshold


def finish(window: Window, worker: int, one: Lease, value: float, **more: Any) -> None:
    """Report a curve and the end of a run."""
    steps = list(range(1, 101))
    curve = {"steps": steps, "values": [2.0 / step + (1 - value) for step in steps]}
    owner = {"X-Worker-Id": str(worker)}
    series = {"val_loss": curve, "train_loss": curve, "val_accuracy": {"steps": [100], "values": [value]}}
    body = {"seq": 0, "series": series}
    assert window.api.post(f"{API}/leases/{one.run_id}/metrics", json=body, headers=owner).status_code == 200
    body = {"seq": 1, "value": value, "metrics": {"val_loss": 1 - value}, **more}
    answer = window.api.post(f"{API}/leases/{one.run_id}/complete", json=body, headers=owner)
    assert answer.status_code == 200, answer.text


def trained(window: Window, name: str = "a-grid", points: int = 4) -> list[int]:
    """A study whose trials have the values 0.5, 0.6 ...; their ids."""
    post_spec(window.api, grid_spec(name, points=points))  # type: ignore[arg-type]
    worker = register(window.api, f"worker-{name}")  # type: ignore[arg-type]
    found = []
    for number in range(points):
        (one,) = lease(window.api, worker, request_id=f"{name}-{number}-request").leases  # type: ignore[arg-type]
        finish(window, worker, one, 0.5 + number / 10)
        found.append(one.trial_id)
    return found


def train_all(window: Window, worker: int, asked: str) -> None:
    """Answer every trial that waits by a law in which low learning rates learn nothing."""
    law = threshold(0.01)
    for number in itertools.count():
        taken = lease(window.api, worker, request_id=f"{asked}-{number}-request", trials=16).leases  # type: ignore[arg-type]
        if not taken:
            return
        reports = [
            {"run_id": one.run_id, "seq": 0, "outcome": law(plan_of(one)).model_dump(mode="json")}
            for one in taken
        ]
        answer = window.api.post(f"{API}/leases:report", json={"worker_id": worker, "reports": reports})
        assert answer.status_code == 200, answer.text
