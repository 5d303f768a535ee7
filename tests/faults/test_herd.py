"""T13: hundreds of workers beat while their server is killed, away for longer than a lease, and started again."""

import random
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
    lease_seconds = sized(12.0, 30.0)
    fleet = Fleet(tmp_path, Script(trials=workers, workers=0, lease_seconds=lease_seconds), None)
    fleet.start()
    try:
        fleet.client.create_study(grid_of(workers))
        over = threading.Event()
        took: list[tuple[float, float]] = []  # (when it began, seconds)
        crew = []
        for number in range(workers):  # each beats from its lease on
            worker, run = lease_one(fleet.client, number)
            pulse = (fleet.client, worker, run, lease_seconds / 3, over, took)
            crew.append(threading.Thread(target=beat, args=pulse))
            crew[-1].start()
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
        "T13 herd",
        f"{workers:,} workers with leases of {lease_seconds:.0f} s through an outage of 1.5 leases",
        notes=f"p99 of a heartbeat from readiness on {1000 * slowest:.0f} ms, {len(lost)} false rescues",
    )
    assert lost == []
    assert len(beats) > workers
    assert slowest < lease_seconds / 3  # others share the cores; `figure` tells how long


def lease_one(client: Client, number: int) -> tuple[int, int]:
    slot = Slot(device="cpu", index=0, name="cpu")
    worker = client.register_worker(RegisterWorker(name=f"w-{number}", host="h", version="0", slots=(slot,)))
    asked = LeaseRequest(worker_id=worker.id, request_id=f"request-{number}", max_trials=1, wait_seconds=0)
    return worker.id, client.lease(asked).leases[0].run_id


def beat(
    client: Client,
    worker: int,
    run: int,
    pause: float,
    over: threading.Event,
    took: list[tuple[float, float]],
) -> None:
    """As a daemon does: the first beat soon, so that workers who started together don't beat together."""
    over.wait(pause * random.random())
    while not over.is_set():
        began = time.monotonic()
        try:
            client.heartbeat(worker, HeartbeatRequest(runs=(run,)))  # type: ignore[arg-type]
            took.append((began, time.monotonic() - began))
        except HpsearchError:
            over.wait(0.5 + random.random())
            continue
        over.wait(pause)


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
