"""T2, T5, T7 and T9 in virtual time: each failure is one seed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hpsearch.records import RunState
from hpsearch.store.tables import runs
from tests.faults import checker
from tests.faults.chaos import STUDY
from tests.faults.conftest import Figure
from tests.faults.simulator import CALM, LEASE, STORM, WRITE_POINTS, Faults, MortalDatabase, Simulation
from tests.faults.sizes import sized

pytestmark = pytest.mark.timeout(7_200)


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: no seed waits for a disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def play(
    memory: Path, template: Path, seed: int, trials: int, faults: Faults
) -> tuple[Simulation, list[str], int]:
    """(what was played, what was broken, how many runs were lost)."""
    path = memory / f"{seed}.db"
    shutil.copyfile(template, path)
    db = MortalDatabase.open(f"sqlite:///{path}", migrate=False)
    assert isinstance(db, MortalDatabase)
    try:
        simulation = Simulation(db, seed, trials, faults)
        history = simulation.run()
        clocks = faults.jumps or faults.frozen
        broken = checker.violations(db, STUDY, history, planned=trials, steady_clock=not clocks)
        with db.read() as tx:
            lost = tx.execute(select(func.count()).where(runs.c.state == RunState.LOST)).scalar_one()
    finally:
        db.close()
        path.unlink()
    return simulation, broken, lost


def test_a_storm_of_faults_loses_and_repeats_nothing(
    memory: Path, sqlite_template: Path, figure: Figure
) -> None:
    seeds, trials = sized((12, 40), (300, 100))
    began, hours = time.monotonic(), 0.0
    for seed in range(seeds):
        simulation, broken, _ = play(memory, sqlite_template, seed, trials, STORM)
        assert broken == [], f"seed {seed}"
        hours += simulation.now / 3_600
    seconds = time.monotonic() - began
    figure(
        test="T2 simulator",
        size=f"{seeds} seeds x {trials} trials, {hours:,.0f} simulated hours, {seconds:.0f} s",
        violations=0,
    )


@pytest.mark.parametrize("point", WRITE_POINTS)
def test_a_worker_that_stands_still_there_changes_no_result(
    memory: Path, sqlite_template: Path, point: str, figure: Figure
) -> None:
    faults = replace(CALM, pause=0.05, pause_at=point)
    trials = sized(20, 500)
    _, broken, lost = play(memory, sqlite_template, 1, trials, faults)
    assert broken == []
    figure(
        test="T5 aimed pauses", size=f"{point}: {trials} trials, {lost} runs lost on the way", violations=0
    )


@pytest.mark.parametrize("fate", ["before", "after"])
def test_a_server_that_dies_at_any_commit_loses_nothing(
    memory: Path, sqlite_template: Path, fate: str, figure: Figure
) -> None:
    faults = replace(CALM, dies=0.2, unanswered=0.05)
    seeds, trials = sized((2, 30), (20, 100))
    for seed in range(seeds):
        _, broken, _ = play(memory, sqlite_template, seed, trials, faults)
        assert broken == [], f"seed {seed}"
    figure(
        test="T7 crash points",
        size=f"{seeds} seeds x {trials} trials, a fifth of all calls die {fate} commit",
        violations=0,
    )


def test_a_clock_that_jumps_or_stands_rescues_nobody_falsely(
    memory: Path, sqlite_template: Path, figure: Figure
) -> None:
    seeds = sized(3, 60)
    faults = replace(CALM, jumps=0.1, frozen=0.05)
    for seed in range(seeds):
        _, broken, lost = play(memory, sqlite_template, seed, 30, faults)
        assert broken == [], f"seed {seed}"
        assert lost == 0, f"seed {seed}"
    figure(
        test="T9 clocks",
        size=f"{seeds} seeds, jumps of a minute, an hour, ten years; frozen clocks",
        violations=0,
    )


def test_an_outage_of_fifteen_minutes_restarts_no_trial_and_loses_no_point(
    memory: Path, sqlite_template: Path, figure: Figure
) -> None:
    _, broken, lost = play(memory, sqlite_template, 0, 40, replace(CALM, outage_at=20.0))
    assert broken == []
    assert lost == 0
    figure(test="T13 outage of 15 minutes (virtual time)", size="40 trials, 0 restarted", violations=0)


def test_the_storm_does_what_it_says(memory: Path, sqlite_template: Path) -> None:
    simulation, _, lost = play(memory, sqlite_template, 3, 40, STORM)
    assert lost > 0
    assert simulation.history.lost
    assert simulation.now > LEASE
