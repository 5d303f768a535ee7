"""A slot on a machine that fails it."""

import errno
import threading
from pathlib import Path

import pytest

from hpsearch.records import RunId
from hpsearch.worker.crew import Crew
from hpsearch.worker.keeping import Keeper
from hpsearch.worker.output import Output
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task

TASKS = Path(__file__).with_name("tasks.py")
GOOD = {"learning_rate": 0.1}


def plan(server: FakeServer, count: int = 1, name: str = "Well") -> tuple[RunId, ...]:
    return server.plan(*[GOOD] * count, task=file_task(TASKS, name))


def wait_until_asked(server: FakeServer, times: int) -> None:
    """The slot is in a long poll: it looked at its disk before."""
    server.wait_for(lambda: len(server.asked) >= times, 20)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The folder of runs, which can be made to take nothing: also root can't make a folder in a file."""
    return tmp_path / "worker" / "runs"


def fill(disk: Path) -> None:
    disk.rmdir()
    disk.touch()


def make_room(disk: Path) -> None:
    disk.unlink()
    disk.mkdir()


def test_a_full_disk_gives_the_pack_back_and_the_slot_goes_on_once_there_is_room(
    server: FakeServer, make_crew: MakeCrew, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crew = make_crew()
    wait_until_asked(server, 1)
    fill(disk)
    outcomes = server.wait_for_outcomes(plan(server, 2), 20)
    assert [outcome.state for outcome in outcomes] == ["released", "released"]
    assert crew.idle(5)
    later = plan(server)
    asked = len(server.asked)
    threading.Event().wait(1.0)
    assert len(server.asked) == asked, "no lease is asked for that could not be trained"
    make_room(disk)
    assert server.wait_for_outcomes(later, 20)[0].state == "completed"
    assert "slot 0 waits until this machine can train again" in caplog.text


def test_a_disk_that_fills_up_while_a_trial_begins_gives_it_back_and_kills_its_child(
    server: FakeServer, make_crew: MakeCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Output.begin
    failures = [OSError(errno.ENOSPC, "No space left on device")]

    def sometimes(log: Path, offset: int, folder: Path) -> Output:
        if failures:
            raise failures.pop()
        return begin(log, offset, folder)

    monkeypatch.setattr(Output, "begin", sometimes)
    runs = plan(server, 2)
    make_crew()
    outcomes = server.wait_for_outcomes(runs, 20)
    assert [outcome.state for outcome in outcomes] == ["released", "released"]
    assert server.wait_for_outcomes(plan(server), 20)[0].state == "completed"


def test_a_fault_of_the_worker_itself_releases_what_it_held_and_the_slot_goes_on(
    server: FakeServer, make_crew: MakeCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps = Keeper.keeps
    faults = [RuntimeError("a fault")]

    def sometimes(self: Keeper, *about: object) -> bool:
        if faults:
            raise faults.pop()
        return keeps(self, *about)  # type: ignore[arg-type]

    monkeypatch.setattr(Keeper, "keeps", sometimes)
    runs = plan(server, 2)
    crew: Crew = make_crew()
    outcomes = server.wait_for_outcomes(runs, 20)
    assert [outcome.state for outcome in outcomes] == ["released", "released"]
    assert crew.idle(5)
    assert server.wait_for_outcomes(plan(server), 20)[0].state == "completed"
