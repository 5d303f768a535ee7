"""Loader workers below a training child: grandchildren of the fork server that must end with their trial."""

import time
from pathlib import Path

from hpsearch.records import RunId
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task
from tests.worker.processes import gone, wait_until_gone

TASKS = Path(__file__).parent / "tasks.py"
READING = {"learning_rate": 0.1, "num_workers": 2, "batch_size": 16}


def readers(text: str) -> set[int]:
    return {int(line.split()[1]) for line in text.splitlines() if line.startswith("reader ")}


def test_they_give_the_numbers_of_a_trial_without_and_end_with_it(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    runs = server.plan(READING, {**READING, "num_workers": 0}, task=file_task(TASKS, "Reads"), epochs=2)
    make_crew()
    outcomes = server.wait_for_outcomes(runs, seconds=30)
    assert [outcome.state for outcome in outcomes] == ["completed", "completed"], outcomes
    with_workers, without = (server.points[run]["loss"] for run in runs)
    assert with_workers == without
    pids = readers(server.logs[runs[0]])
    assert len(pids) >= 2
    for pid in pids:
        wait_until_gone(pid, seconds=5)


def test_a_drained_trial_is_handed_back_with_its_checkpoint(server: FakeServer, make_crew: MakeCrew) -> None:
    (run,) = server.plan(READING, task=file_task(TASKS, "Reads"), epochs=1000)
    crew = make_crew()
    server.wait_for_points(run)
    crew.drain()
    (outcome,) = server.wait_for_outcomes([run], seconds=20)
    assert outcome.state == "released"
    assert (run, "last") in server.checkpoints


def test_a_lost_lease_kills_them_too(server: FakeServer, make_crew: MakeCrew, tmp_path: Path) -> None:
    server.lease_seconds = 0.5
    (run,) = server.plan(READING, task=file_task(TASKS, "Reads"), epochs=1000)
    make_crew()
    pids = _seen(tmp_path / "worker", run)
    assert not any(gone(pid) for pid in pids)
    with server.changed:
        server.lost.add(run)
    for pid in pids:
        wait_until_gone(pid, seconds=10)


def _seen(folder: Path, run: RunId) -> set[int]:
    """Two readers' pids, as the slot's log has them."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pids = {pid for log in folder.glob("slot-*.log") for pid in readers(log.read_text())}
        if len(pids) >= 2:
            return pids
        time.sleep(0.01)
    raise AssertionError(f"run {run} shows no readers")
