"""T13: two hundred workers beat while their server is killed, away for longer than a lease, and started again."""

import threading
import time
from pathlib import Path
from statistics import quantiles

import pytest

from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.records import RunState, Slot
from hpsearch.wire import HeartbeatRequest, LeaseRequest, RegisterWorker
from tests.faults.chaos import STUDY, Fleet, Script, grid_of
from tests.faults.conftest import Figure
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_no_lease_of_a_live_worker_is_lost_in_an_outage_and_heartbeats_stay_quick_after_it(
    tmp_path: Path, figure: Figure
) -> None:
    workers = sized(200, 1_000)
    lease_seconds = 6.0
    fleet = Fleet(tmp_path, Script(trials=workers, workers=0, lease_seconds=lease_seconds), None)
    fleet.start()
    try:
        fleet.client.create_study(grid_of(workers))
        held = [lease_one(fleet.client, number) for number in range(workers)]
        over = threading.Event()
        took: list[tuple[float, float]] = []  # (when it began, seconds)
        crew = [
            threading.Thread(target=beat, args=(fleet.client, worker, run, number * 2 / workers, over, took))
            for number, (worker, run) in enumerate(held)
        ]
        for thread in crew:
            thread.start()
        over.wait(2)
        fleet.stop_server()
        over.wait(1.5 * lease_seconds)  # longer than any lease
        fleet.start_server()
        wait_until_ready(fleet.client)
        ready_at = time.monotonic()
        over.wait(lease_seconds + 3)
        over.set()
        for thread in crew:
            thread.join()
        lost = [
            run
            for trial in fleet.client.study(STUDY).trials()
            for run in trial.runs()
            if run.state is RunState.LOST
        ]
    finally:
        fleet.stop()
    beats = [seconds for began, seconds in took if began > ready_at]
    slowest = quantiles(beats, n=100)[98]
    figure(
        test="T13 herd",
        size=f"{workers} workers through an outage of 1.5 leases: p99 {1000 * slowest:.0f} ms, {len(lost)} false rescues",
        violations=len(lost),
    )
    assert lost == []
    assert len(beats) > workers
    assert slowest < sized(lease_seconds / 3, 1.0)  # other tests share the cores


def lease_one(client: Client, number: int) -> tuple[int, int]:
    slot = Slot(device="cpu", index=0, name="cpu")
    worker = client.register_worker(RegisterWorker(name=f"w-{number}", host="h", version="0", slots=(slot,)))
    asked = LeaseRequest(worker_id=worker.id, request_id=f"request-{number}", max_trials=1, wait_seconds=0)
    return worker.id, client.lease(asked).leases[0].run_id


def beat(
    client: Client,
    worker: int,
    run: int,
    delay: float,
    over: threading.Event,
    took: list[tuple[float, float]],
) -> None:
    """Three times a lease, as a daemon does."""
    over.wait(delay)
    while not over.is_set():
        began = time.monotonic()
        try:
            client.heartbeat(worker, HeartbeatRequest(runs=(run,)))  # type: ignore[arg-type]
            took.append((began, time.monotonic() - began))
        except HpsearchError:
            over.wait(0.5)
            continue
        over.wait(2.0)


def wait_until_ready(client: Client) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            client.ready()
        except HpsearchError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server did not come back")
