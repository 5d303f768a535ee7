"""T10: the disk under a server is lost, or read-only, at any moment; what was acknowledged is there when it is back.

A power cut falls into the middle of a call and stops the server at the same instant. The other two come between two
calls, and the server goes on: ext4 answers an fsync that is overtaken by the failure with success although nothing was
written (Linux 6.18, one of twenty in a loop of fsyncs), and no program can tell.
"""

import hashlib
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.records import Checkpoint
from hpsearch.store.engine import Database
from hpsearch.wire import Lease
from tests.faults import checker
from tests.faults.chaos import STUDY, grid_of
from tests.faults.checker import Violation
from tests.faults.conftest import Figure
from tests.faults.lone_worker import LoneWorker
from tests.faults.machine import Machine, running_machine
from tests.faults.own_disk import works
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800)]
TRIALS = 6
CALLS = 7 * TRIALS - 2  # as many as the worker makes, or a few less
WAYS = {
    "power cut": "the power goes: server killed, unsynced writes dropped",
    "EIO": "every call to the disk fails, unsynced writes are dropped",
    "read-only": "the file system becomes read-only",
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


@pytest.fixture
def folder() -> Iterator[Path]:
    """For disks: Postgres runs as a user of its own, who must be let in."""
    with tempfile.TemporaryDirectory(prefix="hpsearch-disk-") as name:
        Path(name).chmod(0o755)
        if not works(Path(name)):
            pytest.skip("no file system may be mounted here")
        yield Path(name)


@pytest.mark.parametrize(("database", "way"), [*(("sqlite", way) for way in WAYS), ("postgres", "power cut")])
def test_what_was_acknowledged_survives_a_disk_that_fails_at_any_moment(
    folder: Path, database: str, way: str, figure: Figure
) -> None:
    cycles = sized(2, 40) if database == "sqlite" else sized(1, 20)
    broken: list[tuple[int, Violation]] = []
    refused = 0
    for cycle in range(cycles):
        with running_machine(folder / f"disk-{cycle}", database) as machine:
            worker = play(machine, way, folder, random.Random(cycle))
            broken += [(cycle, violation) for violation in broken_promises(machine, worker)]
        assert {error.status for error in worker.failures if error.code != "server_unreachable"} <= {503}
        refused += len(worker.failures)
    figure(
        f"T10 failing disk, {database}",
        f"{cycles} times, in the middle of {TRIALS} trials with checkpoints: {WAYS[way]}",
        violations=[violation for _, violation in broken],
        tally={"calls refused": refused},
    )
    assert broken == []


def play(machine: Machine, way: str, folder: Path, rng: random.Random) -> SavingWorker:
    """The disk fails while the worker is busy, the machine is started again, the worker goes on."""
    with machine.client() as client:
        wait_for(lambda: answers(client))
        client.create_study(grid_of(TRIALS))
        gone, calls, fails_at = threading.Event(), itertools.count(), 2 + rng.randrange(CALLS)

        def before(_: str) -> None:
            if next(calls) == fails_at:
                if way != "power cut":
                    machine.fail(way)
                gone.set()

        worker = SavingWorker(client, "node", before, folder)
        thread = threading.Thread(target=work_all, args=(worker, client))
        thread.start()
        wait_for(lambda: gone.is_set() or not thread.is_alive())
        if way == "power cut":
            time.sleep(rng.uniform(0, 0.02))  # into the middle of the call
            machine.fail(way)
        wait_for(lambda: worker.failures or not thread.is_alive())
        machine.stop()
        machine.disk.restore()
        machine.start()
        thread.join(60)
        assert not thread.is_alive()
        wait_for(lambda: answers(client))
        for trial in {stored.trial_id for stored in worker.stored}:
            found = client.download_checkpoint(trial, "last", folder / "fetched").read_bytes()
            sent = [stored.sha256 for stored in worker.stored if stored.trial_id == trial]
            assert hashlib.sha256(found).hexdigest() in sent
    return worker


def work_all(worker: SavingWorker, client: Client) -> None:
    while worker.work_one() or not study_is_over(client):
        pass


def study_is_over(client: Client) -> bool:
    try:
        return client.study(STUDY).record().state != "running"
    except HpsearchError:
        return False


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
