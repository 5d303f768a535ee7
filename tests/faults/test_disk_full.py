"""T10: a server whose disk is full stores nothing that it did not acknowledge, and everything that it did."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hpsearch.client import Client
from hpsearch.errors import HpsearchError, Unavailable
from hpsearch.home import Home
from hpsearch.records import Outcome, Points, RunId, Slot, TrialState
from hpsearch.wire import LeaseRequest, RegisterWorker, ReportRequest, RunReport
from tests.faults.chaos import grid_of
from tests.faults.conftest import Figure
from tests.faults.sizes import sized

pytestmark = pytest.mark.e2e
SIZE = 3 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None] | None]]:
    """(a folder of 3 MiB, what to do before the server's program starts).

    A file system of its own where this user may mount one, else a limit on the size of files.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        yield folder, None
        subprocess.run(["umount", "-l", str(folder)], check=True)
    else:
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, resource.RLIM_INFINITY))


@pytest.fixture
def server(small_disk: tuple[Path, Callable[[], None] | None]) -> Iterator[tuple[Home, Client]]:
    folder, before = small_disk
    (folder / "other-files").write_bytes(bytes(2**20))
    home = Home(folder / "home")
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--home", str(home.path), "--port", "0"]
    environment = {**os.environ, "HPSEARCH_MIN_FREE_MIB": "0.1", "HPSEARCH_BALLAST_MIB": "0.5"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=before,  # noqa: PLW1509 - no threads here yet
    )
    try:
        deadline = time.monotonic() + 30
        while (address := home.read_address()) is None:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with Client(address.url, home.read_token(), patience_seconds=0) as client:
            yield home, client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def noise(seed: int) -> Points:
    """Points that do not compress."""
    values = tuple(((seed * 7919 + i * 104_729) % 1_000_003) / 997 for i in range(2_000))
    return Points(steps=tuple(seed * 10_000 + (i * i) % 9_973 for i in range(2_000)), values=values)


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_goes_on_when_there_is_room(
    server: tuple[Home, Client], figure: Figure
) -> None:
    home, client = server
    client.create_study(grid_of(3))
    slot = Slot(device="cpu", index=0, name="cpu")
    worker = client.register_worker(RegisterWorker(name="node", host="h", version="0", slots=(slot,)))
    request = LeaseRequest(worker_id=worker.id, request_id="request-1", max_trials=1, wait_seconds=0)
    (lease,) = client.lease(request).leases
    stored, cycles = 0, sized(3, 100)
    for cycle in range(cycles):
        stored, error = fill(client, worker.id, lease.run_id, stored)
        assert error.status == 503
        with pytest.raises(Unavailable):
            client.ready()
        asked = LeaseRequest(worker_id=worker.id, request_id=f"request-again-{cycle}", wait_seconds=0)
        with suppress(Unavailable):  # the lease's own note of the worker may find no room
            assert client.lease(asked).leases == ()
    (home.path.parent / "other-files").unlink()
    outcome = Outcome(state="completed", value=1.0, steps=1)
    last = RunReport(run_id=lease.run_id, seq=10**6, outcome=outcome)
    until(lambda: client.report(ReportRequest(worker_id=worker.id, reports=(last,))))
    until(client.ready)
    trial = client.trial(lease.trial_id)
    assert trial.state is TrialState.COMPLETED
    assert len(trial.metrics()["loss"].steps) == 2_000 * stored
    figure("T10 disk full", f"3 MiB filled {cycles} times", notes=f"{stored} reports acknowledged, all there")


def fill(client: Client, worker: int, run: RunId, first: int) -> tuple[int, HpsearchError]:
    """(how many reports are stored, the refusal of the next)."""
    for seq in range(first, 10_000):
        one = RunReport(run_id=run, seq=seq, series={"loss": noise(seq)})
        try:
            client.report(ReportRequest(worker_id=worker, reports=(one,)))  # type: ignore[arg-type]
        except HpsearchError as error:
            return seq, error
    raise AssertionError("the disk is never full")


def until(call: Callable[[], object]) -> None:
    """It is repeated while the server says that it is unavailable."""
    deadline = time.monotonic() + 20
    while True:
        try:
            call()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
