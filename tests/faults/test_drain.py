"""T12: many daemons are told to end at once; nothing is charged, and others go on from the last checkpoints."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hpsearch.records import RunState, TrialState
from tests.faults.chaos import STUDY, Fleet, Script, grid_of
from tests.faults.conftest import Figure
from tests.faults.light_fleet import LightFleet, Told
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STEPS_PER_SECOND = 200  # of all workers together: what one server and two cores carry beside them
LIMIT_SECONDS = 30.0  # of guarantees.md, from SIGTERM to the end of the last daemon
StartDaemons = Callable[[str], LightFleet]


@pytest.fixture
def count() -> int:
    return sized(50, 1_000)


@pytest.fixture
def fleet(tmp_path: Path, count: int) -> Iterator[Fleet]:
    made = Fleet(tmp_path, Script(trials=count, workers=0, lease_seconds=30), None)
    made.start()
    server = made.servers[0].pid
    assert server is not None
    with suppress(PermissionError):  # in earnest it has a machine of its own; here it goes before its workers
        os.setpriority(os.PRIO_PROCESS, server, -10)
    made.client.create_study(grid_of(count))
    yield made
    made.stop()


@pytest.fixture
def start(tmp_path: Path, fleet: Fleet, count: int) -> Iterator[StartDaemons]:
    begun: list[LightFleet] = []
    token = fleet.settings[0].home.read_token()
    assert token is not None

    def begin(generation: str) -> LightFleet:
        names = [f"{generation}-{number}" for number in range(count)]
        nodes = tmp_path / "nodes"
        told = [
            Told(fleet.url(0), token, str(nodes / name), name, count / STEPS_PER_SECOND) for name in names
        ]
        begun.append(LightFleet(told))
        return begun[-1]

    yield begin
    for light in begun:
        light.kill()


def test_workers_told_to_end_together_charge_nothing_and_others_go_on_from_their_checkpoints(
    tmp_path: Path, fleet: Fleet, start: StartDaemons, count: int, figure: Figure
) -> None:
    seconds = drain(fleet, start("first"))
    reached = {}
    for trial in fleet.client.study(STUDY).trials():
        record = trial.record
        assert record.state is TrialState.WAITING
        assert (record.failures, record.rescues, record.preemptions) == (0, 0, 1)
        assert [run.state for run in trial.runs()] == [RunState.RELEASED]
        reached[record.id] = int(trial.checkpoint(tmp_path / "fetched", "last").read_text())
        assert trial.metrics()["loss"].steps[-1] == reached[record.id]
    start("second")
    for trial in fleet.client.study(STUDY).trials():
        wait_for(lambda trial=trial: len(trial.runs()) == 2)
        wait_for(lambda trial=trial: trial.metrics()["loss"].steps[-1] > reached[trial.record.id])
        steps = trial.metrics()["loss"].steps
        assert list(steps) == list(range(1, len(steps) + 1)), "it went on right after its checkpoint"
    figure(
        "T12 drain",
        f"SIGTERM to {count:,} workers",
        notes=f"{seconds:.1f} s, 0 failures charged, all resumed at the last checkpoint's step",
    )
    assert seconds < LIMIT_SECONDS


def drain(fleet: Fleet, daemons: LightFleet) -> float:
    """Once every daemon trains: seconds from the signal to the end of the last one."""
    for trial in fleet.client.study(STUDY).trials():  # each is asked until it trains, and then no more
        wait_for(lambda trial=trial: trial.metrics().get("loss"))
    told_at = time.monotonic()
    daemons.drain()
    codes = daemons.exit_codes(LIMIT_SECONDS + 30)
    seconds = time.monotonic() - told_at
    assert set(codes) == {0}
    return seconds


def wait_for(what: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)
