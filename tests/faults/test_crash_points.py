"""T7 with real processes: the server is gone at a commit, or between its commit and its answer, or right after it."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.resources import open_resources
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.store.engine import Database
from tests.faults import checker
from tests.faults.chaos import free_port, grid_of
from tests.faults.conftest import Figure
from tests.faults.lone_worker import LoneWorker
from tests.faults.mortal_server import Fate, Side, Supervisor
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(7_200)]

SIDES: tuple[Side, ...] = ("before", "after", "answered")
# What the worker calls -> the service's function that commits.
FUNCTIONS = {
    "create": "create",
    "register": "register",
    "lease": "lease_all",
    "heartbeat": "heartbeat_all",
    "points": "report_all",
    "result": "report_all",
}
LEASE_SECONDS = 2.0  # shorter ones run out on a loaded machine, three times for one trial


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        home=Home(tmp_path / "home"),
        port=free_port(),
        database_url=database_url,
        lease_seconds=LEASE_SECONDS,
        reaper_seconds=0.1,
        min_free_mib=0,
        ballast_mib=0,
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with open_resources(settings):  # makes the token
        pass
    with Client(
        f"http://127.0.0.1:{settings.port}", settings.home.read_token(), timeout=5, patience_seconds=0
    ) as made:
        yield made


def test_a_server_killed_at_each_commit_and_each_answer_loses_and_repeats_nothing(
    tmp_path: Path, settings: Settings, client: Client, database_url: str, figure: Figure
) -> None:
    fate = Fate(tmp_path / "fate")
    rounds = sized(5, 100)
    supervisor = Supervisor(settings, tmp_path / "fate")
    try:
        played = [play_round(client, fate, f"study-{number}") for number in range(rounds)]
    finally:
        supervisor.close()
    assert supervisor.deaths == rounds * (len(SIDES) * len(FUNCTIONS) + 2)
    db = Database.open(database_url, migrate=False)
    try:
        broken = [
            violation
            for name, workers, planned in played
            for worker in workers
            for violation in checker.violations(db, name, worker.history, planned=planned)
        ]
    finally:
        db.close()
    figure(
        f"T7 crash points, {db.dialect}",
        f"{rounds} x {len(SIDES) * len(FUNCTIONS)} calls and {rounds} x 2 reapings: SIGKILL of the server "
        "before the commit, after it, after the answer",
        violations=broken,
        notes=f"{supervisor.deaths} servers killed",
    )
    assert broken == []


def play_round(client: Client, fate: Fate, name: str) -> tuple[str, list[LoneWorker], int]:
    """One study in whose life each death is died once; (its name, its workers, how many trials it has)."""
    planned = 2 + len(SIDES)
    due = {call: list(SIDES) for call in FUNCTIONS}

    def before(call: str) -> None:
        wait_until_struck(fate)  # an answer may be here before its server is dead
        if due[call]:
            fate.arm(due[call].pop(0), FUNCTIONS[call])

    for _ in SIDES:
        before("create")
        answered(client, name, planned)
    workers = [LoneWorker(client, f"{name}-{number}", before) for number in range(len(SIDES))]
    while not workers[0].work_one(forsake=True):
        time.sleep(0.05)
    fate.arm("before", "_reap", then="after")  # of the same lease: the next server reaps it again
    wait_until_struck(fate)
    for worker in itertools.cycle(workers):
        if not worker.work_one() and study_is_over(client, name):
            break
    assert not any(due.values()), due
    return name, workers, planned


def answered(client: Client, name: str, planned: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            client.create_study(grid_of(planned, name))
        except HpsearchError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def wait_until_struck(fate: Fate) -> None:
    deadline = time.monotonic() + 30
    while fate.armed:
        assert time.monotonic() < deadline, (
            "nothing met its fate: is the service's function called otherwise?"
        )
        time.sleep(0.02)


def study_is_over(client: Client, name: str) -> bool:
    try:
        return client.study(name).record().state != "running"
    except HpsearchError:
        return False
