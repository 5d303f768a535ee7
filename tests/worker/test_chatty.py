"""Trials that print more than the worker's disk should hold."""

import time
from pathlib import Path

import pytest

from hpsearch.command import CommandTask
from hpsearch.records import RunId
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task

TASKS = Path(__file__).with_name("tasks.py")
MIB = 2**20
GOOD = {"learning_rate": 0.1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "worker"


def largest_log_until_the_end(server: FakeServer, folder: Path, run: RunId) -> int:
    """Bytes."""
    largest = 0
    deadline = time.monotonic() + 60
    while run not in server.outcomes:
        assert time.monotonic() < deadline
        sizes = [path.stat().st_size for path in folder.glob("slot-*.log")]
        largest = max(largest, *sizes)
        time.sleep(0.02)
    return largest


def test_a_trial_that_prints_without_end_leaves_the_end_of_it(
    server: FakeServer, make_crew: MakeCrew, folder: Path
) -> None:
    (run,) = server.plan(GOOD, task=file_task(TASKS, "Chatty"), epochs=80)  # 16 MB in 5 s
    make_crew()
    server.wait_for_points(run)
    assert largest_log_until_the_end(server, folder, run) < 9 * MIB
    assert server.outcomes[run].state == "completed"
    assert server.logs[run].count("x step") >= 5


def test_a_command_that_prints_faster_than_the_daemon_looks_does_so_too(
    server: FakeServer, make_crew: MakeCrew, folder: Path
) -> None:
    script = (
        "yes a line of output | head -c 60000000; echo; "
        """echo '{"val_accuracy": 0.5}'; sleep 1.5; echo the end"""
    )
    (run,) = server.plan(GOOD, task=CommandTask(argv=("sh", "-c", script)))
    make_crew(allow_commands=True)
    server.wait_for(lambda: list(folder.glob("slot-*.log")), 20)
    assert largest_log_until_the_end(server, folder, run) < 9 * MIB
    assert server.outcomes[run].state == "completed"
    assert server.logs[run].rstrip().endswith("the end")
