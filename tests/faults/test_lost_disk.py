"""T10: the disk under a server is lost, or read-only, at any moment; what was acknowledged is there when it is back."""

import hashlib
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from api.resources import open_resources
from api.server import serve
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.records import Checkpoint
from hpsearch.store.engine import Database
from hpsearch.wire import Lease
from tests.faults import checker
from tests.faults.chaos import STUDY, free_port, grid_of
from tests.faults.checker import Violation
from tests.faults.conftest import Figure
from tests.faults.lone_worker import LoneWorker
from tests.faults.own_disk import OwnDisk, available
from tests.faults.sizes import sized

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not available(), reason="no file system may be mounted here"),
]
TRIALS = 6
CALLS = 7 * TRIALS  # about as many as the worker makes
WAYS: dict[str, Callable[[OwnDisk], None]] = {
    "lost": OwnDisk.lose,
    "read-only": OwnDisk.become_read_only,
}


class SavingWorker(LoneWorker):
    """Sends a checkpoint before each result, other bytes for each run."""

    def __init__(self, client: Client, name: str, before: Callable[[str], None], folder: Path) -> None:
        super().__init__(client, name, before)
        self.stored: list[Checkpoint] = []
        self._path = folder / "last.safetensors"

    def finish(self, lease: Lease) -> bool:
        self._path.write_bytes(content_of(lease.run_id))
        self.stored.append(
            self._until_answered(
                "checkpoint",
                lambda: self._client.upload_checkpoint(lease.run_id, self._id, "last", 1, self._path),
            )
        )
        return super().finish(lease)


def content_of(run_id: int) -> bytes:
    return f"state of run {run_id}".encode() * 3_000


@dataclass
class Machine:
    """A server on a disk of its own."""

    disk: OwnDisk
    settings: Settings
    server: BaseProcess

    def start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.faults.chaos"])
        self.server = context.Process(target=serve, args=(self.settings,), daemon=True)
        self.server.start()

    def stop(self) -> None:
        self.server.kill()
        self.server.join()


@pytest.fixture
def new_machine(tmp_path: Path) -> Iterator[Callable[[int], Machine]]:
    made: list[Machine] = []

    def make(number: int) -> Machine:
        disk = OwnDisk(tmp_path / f"disk-{number}")
        settings = Settings(
            home=Home(disk.folder / "home"),
            port=free_port(),
            reaper_seconds=0.5,
            min_free_mib=0,
            ballast_mib=0,
        )
        with open_resources(settings):  # makes token and tables
            pass
        machine = Machine(disk, settings, BaseProcess())
        machine.start()
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.stop()
        machine.disk.remove()


@pytest.mark.parametrize("way", WAYS)
def test_what_was_acknowledged_survives_a_disk_that_fails_at_any_moment(
    tmp_path: Path, new_machine: Callable[[int], Machine], way: str, figure: Figure
) -> None:
    cycles = sized(2, 50)
    broken: list[tuple[int, Violation]] = []
    refused = 0
    for cycle in range(cycles):
        machine = new_machine(cycle)
        worker = play(machine, WAYS[way], tmp_path, random.Random(cycle))
        broken += [(cycle, violation) for violation in broken_promises(machine, worker)]
        assert {error.status for error in worker.failures if error.code != "server_unreachable"} <= {503}
        refused += len(worker.failures)
        machine.stop()
    done = (
        "the file system is lost, unsynced writes with it (EIO)" if way == "lost" else "it becomes read-only"
    )
    figure(
        "T10 failing disk, SQLite",
        f"{cycles} times, in the middle of {TRIALS} trials with checkpoints: {done}",
        violations=[violation for _, violation in broken],
        tally={"calls refused": refused},
    )
    assert broken == []


def play(machine: Machine, fail: Callable[[OwnDisk], None], folder: Path, rng: random.Random) -> SavingWorker:
    """The disk fails while the worker is busy, the machine is started again, the worker goes on."""
    token = machine.settings.home.read_token()
    with Client(f"http://127.0.0.1:{machine.settings.port}", token, timeout=5, patience_seconds=0) as client:
        wait_for(lambda: answers(client))
        client.create_study(grid_of(TRIALS))
        calls, failed = threading.Semaphore(0), rng.randrange(CALLS)
        worker = SavingWorker(client, "node", lambda _: calls.release(), folder)
        thread = threading.Thread(target=work_all, args=(worker,))
        thread.start()
        for _ in range(failed):
            calls.acquire(timeout=1)
        time.sleep(rng.uniform(0, 0.02))  # into the middle of a call
        fail(machine.disk)
        if thread.is_alive():
            wait_for(lambda: worker.failures or not thread.is_alive())
        machine.stop()
        machine.disk.restore()
        machine.start()
        thread.join(60)
        assert not thread.is_alive()
        wait_for(lambda: answers(client))
        for stored in worker.stored:
            path = client.download_checkpoint(stored.trial_id, "last", folder / "fetched")
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            assert found in {one.sha256 for one in worker.stored if one.trial_id == stored.trial_id}
    return worker


def work_all(worker: SavingWorker) -> None:
    while worker.work_one():
        pass


def answers(client: Client) -> bool:
    try:
        client.ready()
    except HpsearchError:
        return False
    return True


def broken_promises(machine: Machine, worker: SavingWorker) -> list[Violation]:
    db = Database.open(machine.settings.database, migrate=False)
    try:
        return checker.violations(db, STUDY, worker.history, planned=TRIALS)
    finally:
        db.close()


def wait_for(what: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
