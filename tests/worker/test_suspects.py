"""Trials that take the fork server down with them, and those that were beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.records import FailureReason
from hpsearch.worker.launcher import ForkServer
from hpsearch.worker.offspring import Child
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task

TASKS = Path(__file__).with_name("tasks.py")
KILLER = file_task(TASKS, "KillsForkServer")
SLOW = file_task(TASKS, "Slow")
BAD, GOOD = {"learning_rate": 2.0}, {"learning_rate": 0.1}


@pytest.fixture
def own(launcher: ForkServer) -> Iterator[ForkServer]:
    """A fork server without children of other tests, which may still be ending."""
    made = launcher.apart()
    made.start()
    yield made
    made.close()


def test_a_trial_that_takes_the_fork_server_down_alone_is_charged(
    server: FakeServer, make_crew: MakeCrew, own: ForkServer
) -> None:
    bad, beside = server.plan(BAD, GOOD, task=KILLER)
    make_crew(by=own)
    charged, released = server.wait_for_outcomes([bad, beside], 30)
    assert (charged.reason, released.state) == (FailureReason.CRASHED, "released")
    assert "fork server" in charged.message


def test_a_child_whose_pack_has_ended_is_no_suspect_while_it_ends(
    server: FakeServer, make_crew: MakeCrew, own: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Child] = []
    start = own.start_child

    def noted(log: Path) -> Child:
        made.append(start(log))
        return made[-1]

    monkeypatch.setattr(own, "start_child", noted)
    (slow,) = server.plan(GOOD, task=SLOW, epochs=200)
    make_crew(by=own)
    server.wait_for_points(slow)
    assert [child.busy for child in made] == [True]
    server.wait_for_outcomes([slow], 30)
    assert not any(child.busy for child in made)


def test_of_two_slots_trials_the_guilty_one_is_charged_the_second_time_and_the_other_never(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    (slow,) = server.plan(GOOD, task=SLOW, epochs=1000)
    make_crew(slots=2)
    server.wait_for_points(slow)
    (bad,) = server.plan(BAD, task=KILLER)
    first = server.wait_for_outcomes([slow, bad], 30)
    assert [outcome.state for outcome in first] == ["released", "released"]

    (slow_again,) = server.plan(GOOD, task=SLOW, epochs=200, again=slow)
    server.wait_for_points(slow_again)
    (bad_again,) = server.plan(BAD, task=KILLER, again=bad)
    assert server.wait_for_outcomes([bad_again], 30)[0].reason is FailureReason.CRASHED
    assert slow_again not in server.outcomes
    assert server.wait_for_outcomes([slow_again], 60)[0].state == "completed"


def test_only_a_suspect_trains_apart_and_none_that_has_ended_by_itself_since(
    server: FakeServer, make_crew: MakeCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ForkServer] = []
    apart = ForkServer.apart

    def counted(self: ForkServer) -> ForkServer:
        made.append(apart(self))
        return made[-1]

    monkeypatch.setattr(ForkServer, "apart", counted)
    (slow,) = server.plan(GOOD, task=SLOW, epochs=1000)
    make_crew(slots=2)
    server.wait_for_points(slow)
    (bad,) = server.plan(BAD, task=KILLER)
    server.wait_for_outcomes([slow, bad], 30)
    for count in (1, 1):
        (again,) = server.plan(GOOD, task=SLOW, again=slow)
        assert server.wait_for_outcomes([again], 30)[0].state == "completed"
        assert len(made) == count
