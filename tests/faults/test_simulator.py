"""T2, T5, T7 and T9 in virtual time: each failure is one seed."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hpsearch.records import RunState
from hpsearch.store.tables import runs
from tests.faults import checker
from tests.faults.chaos import STUDY
from tests.faults.checker import Violation
from tests.faults.conftest import Figure
from tests.faults.simulator import CALM, LEASE, STORM, WRITE_POINTS, Faults, MortalDatabase, Simulation
from tests.faults.sizes import sized

pytestmark = [pytest.mark.timeout(7_200), pytest.mark.usefixtures("silent")]


# The storm's seeds go in parts, so that several processes share them and a long run may be made in several goes:
# `-k seeds03` are those from 3,000 to 3,999, and what was shown of others stays in the table.
SEEDS = sized(300, 20_000)
SEEDS_OF_A_PART = sized(75, 100)
PARTS = [range(first, first + SEEDS_OF_A_PART) for first in range(0, SEEDS, SEEDS_OF_A_PART)]


def name_of(part: range) -> str:
    return f"seeds{part.start:05}"


@pytest.fixture(scope="session")
def empty(sqlite_template: Path, memory_folder: Path) -> Iterator[Callable[[], MortalDatabase]]:
    """Makes the one database empty again, its statements compiled once for all seeds."""
    path = memory_folder / "simulated.db"
    db = MortalDatabase.open(f"sqlite:///{path}", migrate=False)
    assert isinstance(db, MortalDatabase)

    def again() -> MortalDatabase:
        db.close()  # its connections; the next transaction opens new ones
        shutil.copyfile(sqlite_template, path)
        return db

    yield again
    db.close()


def play(
    db: MortalDatabase, seed: int, trials: int, faults: Faults, *, worker_count: int = 6
) -> tuple[Simulation, list[Violation], int]:
    """(what was played, what was broken, how many runs were lost)."""
    simulation = Simulation(db, seed, trials, faults, worker_count=worker_count)
    history = simulation.run()
    clocks = faults.jumps or faults.frozen
    broken = checker.violations(db, STUDY, history, planned=trials, steady_clock=not clocks)
    with db.read() as tx:
        lost = tx.execute(select(func.count()).where(runs.c.state == RunState.LOST)).scalar_one()
    return simulation, broken, lost


@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_a_storm_of_faults_loses_and_repeats_nothing(
    empty: Callable[[], MortalDatabase], part: range, figure: Figure
) -> None:
    trials = 100
    hours, lost_on_the_way = 0.0, 0
    for seed in part:
        simulation, broken, lost = play(empty(), seed, trials, STORM)
        assert broken == [], f"seed {seed}"
        hours += simulation.now / 3_600
        lost_on_the_way += lost
    figure(
        "T2 simulator",
        f"{trials} trials a seed, a storm of all faults",
        part=name_of(part),
        tally={"seeds": len(part), "simulated hours": hours, "runs lost on the way": lost_on_the_way},
    )


@pytest.mark.parametrize("point", WRITE_POINTS)
def test_a_worker_that_stands_still_there_changes_no_result(
    empty: Callable[[], MortalDatabase], point: str, figure: Figure
) -> None:
    faults = replace(CALM, pause=0.2, pause_at=point)  # rarer pauses leave some removed guards unnoticed
    trials = sized(50, 500)
    _, broken, lost = play(empty(), 1, trials, faults)
    assert broken == []
    figure(
        "T5 aimed pauses",
        f"{trials} trials at each write point, a fifth of all passages stands still for one to three leases",
        tally={"write points": 1, "runs lost on the way": lost},
    )


@pytest.mark.parametrize("fate", ["before", "after"])
def test_a_server_that_dies_at_any_commit_loses_nothing(
    empty: Callable[[], MortalDatabase], fate: str, figure: Figure
) -> None:
    faults = replace(CALM, dies=0.2, unanswered=0.05)
    seeds, trials = sized((2, 30), (20, 100))
    for seed in range(seeds):
        _, broken, _ = play(empty(), seed, trials, faults)
        assert broken == [], f"seed {seed}"
    done = f"{trials} trials a seed, a fifth of all calls die before, or after, their commit"
    figure("T7 crash points, virtual time", done, tally={"seeds": seeds})


def test_a_clock_that_jumps_or_stands_rescues_nobody_falsely(
    empty: Callable[[], MortalDatabase], figure: Figure
) -> None:
    seeds = sized(3, 60)
    faults = replace(CALM, jumps=0.1, frozen=0.05)
    for seed in range(seeds):
        _, broken, lost = play(empty(), seed, 30, faults)
        assert broken == [], f"seed {seed}"
        assert lost == 0, f"seed {seed}"
    figure(
        "T9 clocks",
        f"{seeds} seeds, jumps of a minute, an hour, ten years; frozen clocks",
        notes="0 false rescues",
    )


def test_an_outage_of_fifteen_minutes_restarts_no_trial_and_loses_no_point(
    empty: Callable[[], MortalDatabase], figure: Figure
) -> None:
    workers = sized(20, 1_000)
    faults = replace(CALM, outage_at=20.0)
    simulation, broken, lost = play(empty(), 0, 5 * workers, faults, worker_count=workers)
    assert broken == []
    assert lost == 0
    assert simulation.now > 900
    figure(
        "T13 outage of 15 minutes, virtual time",
        f"{5 * workers:,} trials of {workers:,} workers",
        notes="no point lost, no trial started again",
    )


def test_the_storm_does_what_it_says(empty: Callable[[], MortalDatabase]) -> None:
    simulation, _, lost = play(empty(), 3, 40, STORM)
    assert lost > 0
    assert simulation.history.lost
    assert simulation.now > LEASE
