import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.records import FailureReason
from hpsearch.worker.environment import child_environment
from hpsearch.worker.launcher import ForkServer
from hpsearch.worker.offspring import Exit
from hpsearch.worker.spawner import Spawner
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task
from tests.worker.processes import gone

TASKS = Path(__file__).with_name("tasks.py")


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    """What starts children where forking is not safe; it works here too."""
    made = Spawner(child_environment(os.environ, threads=1))
    yield made
    made.close()


def test_a_spawned_child_gives_the_same_numbers_as_a_forked_one(
    server: FakeServer, make_crew: MakeCrew, spawner: Spawner
) -> None:
    (forked,) = server.plan({"learning_rate": 0.1})
    crew = make_crew()
    server.wait_for_outcomes([forked])
    crew.close()
    (spawned,) = server.plan({"learning_rate": 0.1})
    make_crew(by=spawner)
    server.wait_for_outcomes([spawned])
    assert server.points[spawned] == server.points[forked]


def test_a_spawned_child_that_dies_is_accounted_for(
    server: FakeServer, make_crew: MakeCrew, spawner: Spawner
) -> None:
    runs = server.plan({"learning_rate": 2.0}, {"learning_rate": 0.1}, task=file_task(TASKS, "Killed"))
    make_crew(by=spawner)
    crashed, released = server.wait_for_outcomes(runs)
    assert crashed.reason is FailureReason.CRASHED
    assert released.state == "released"


def test_a_child_without_a_pack_ends_when_its_channel_is_closed(launcher: ForkServer, tmp_path: Path) -> None:
    child = launcher.start_child(tmp_path / "log")
    child.channel.close()
    assert child.exit(20) == Exit(0)
    assert child.pid is not None
    assert gone(child.pid)


def test_a_child_leads_its_own_session_and_a_signal_reaches_its_group(
    launcher: ForkServer, tmp_path: Path
) -> None:
    child = launcher.start_child(tmp_path / "log")
    deadline = time.monotonic() + 20
    while child.pid is None or os.getsid(child.pid) != child.pid:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert os.getpgid(child.pid) == child.pid
    child.signal(signal.SIGKILL)
    assert child.exit(20) == Exit(-signal.SIGKILL)
    child.channel.close()


def test_a_machine_that_makes_no_more_processes_is_told_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ForkServer) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    told: list[str] = []
    monkeypatch.setattr(ForkServer, "_spawn", refuse)
    fork_server = ForkServer({}, told.append)
    fork_server.start()
    with pytest.raises(HpsearchError, match="temporarily unavailable"):
        fork_server.start_child(tmp_path / "log")
    fork_server.close()
    assert len(told) == 1
