"""A fleet of real processes, killed without warning while it works; and what the checker says afterwards."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from api.resources import open_resources
from api.server import serve
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.records import FINISHED_STUDY_STATES, Study
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.store.engine import Database
from tests.faults import checker
from tests.faults.checker import Violation
from tests.faults.children import ForkServer
from tests.faults.history import History
from tests.faults.history import read as read_history
from tests.faults.postgres_process import PostgresProcess
from tests.faults.work import Work, work

STUDY = "chaos"
LOOK_SECONDS = 0.05
# The last is what a client imports when it is made.
PRELOADED = ["tests.faults.chaos", "httpcore2"]


@dataclass(frozen=True)
class Script:
    """What happens to the fleet. Kills are spread evenly over the study's progress."""

    trials: int
    workers: int = 8
    worker_kills: int = 0
    server_kills: int = 0
    database_kills: int = 0
    lease_seconds: float = 2.0
    trial_seconds: float = 0.01
    pause: float = 0.0
    max_trials: int = 4
    servers: int = 1
    seed: int = 0
    limit_seconds: float = 900.0


@dataclass
class Outcome:
    """`violations` is empty where every promise held."""

    script: Script
    seconds: float
    killed: dict[str, int]
    violations: list[Violation]
    study: Study
    history: History = field(repr=False)

    @property
    def done(self) -> str:
        """What was done to it."""
        kills = ", ".join(f"{count:,} {what}" for what, count in self.killed.items() if count)
        return f"{self.script.trials:,} trials, SIGKILL of {kills}"

    @property
    def ends(self) -> str:
        """How many trials ended in which state."""
        return ", ".join(f"{count:,} {state}" for state, count in self.study.trial_counts.items() if count)


def grid_of(trials: int, name: str = STUDY) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
            "grid": {"learning_rate": trials},
            "objective": {"metric": "val_loss", "direction": "minimize"},
        }
    )


class Fleet:
    """Servers and workers, each a process."""

    def __init__(self, folder: Path, script: Script, database: PostgresProcess | None) -> None:
        self.script = script
        self.folder = folder
        self.database = database
        self.rng = random.Random(script.seed)
        self._fork_server = ForkServer(PRELOADED)
        home = Home(folder / "home")
        url = None if database is None else database.url
        self.settings = [
            Settings(
                home=home,
                port=free_port(),
                database_url=url,
                lease_seconds=script.lease_seconds,
                reaper_seconds=0.25,
                min_free_mib=0,
                ballast_mib=0,
                log_level="error",
            )
            for _ in range(script.servers)
        ]
        self.servers: list[BaseProcess] = []
        self.workers: list[BaseProcess] = []
        self._works: list[Work] = []
        self._stopped: dict[int, float] = {}  # pid -> since when

    def start(self) -> None:
        with open_resources(self.settings[0]):  # makes token and tables
            pass
        token = self.settings[0].home.read_token()
        assert token is not None
        self.servers = [self._fork_server.start(serve, one) for one in self.settings]
        self.client = Client(self.url(0), token, patience_seconds=60)
        for number in range(self.script.workers):
            told = Work(
                url=self.url(number % len(self.settings)),
                token=token,
                home=self.folder / "nodes",
                journal=self.folder / "journal",
                name=f"node-{number}",
                seed=self.rng.randrange(2**31),
                seconds=self.script.trial_seconds,
                pause=self.script.pause,
                max_trials=self.script.max_trials,
            )
            self._works.append(told)
            self.workers.append(self._fork_server.start(work, told))

    def url(self, server: int) -> str:
        return f"http://127.0.0.1:{self.settings[server].port}"

    def kill_worker(self) -> None:
        number = self.rng.randrange(len(self.workers))
        _kill(self.workers[number])
        told = replace(self._works[number], seed=self.rng.randrange(2**31))
        self.workers[number] = self._fork_server.start(work, told)

    def kill_server(self) -> None:
        number = self.rng.randrange(len(self.servers))
        _kill(self.servers[number])
        self.servers[number] = self._fork_server.start(serve, self.settings[number])

    def stop_server(self) -> None:
        _kill(self.servers[0])

    def start_server(self) -> None:
        self.servers[0] = self._fork_server.start(serve, self.settings[0])

    def kill_database(self) -> None:
        assert self.database is not None
        self.database.kill()
        self.database.start()

    def revive(self) -> None:
        """Paused workers go on once they have slept longer than a lease; a server that gave up is started again."""
        for process in self.workers:
            with suppress(psutil.NoSuchProcess):
                seen = psutil.Process(process.pid)
                if seen.status() == psutil.STATUS_STOPPED:
                    self._wake_later(seen)
        for number, server in enumerate(self.servers):
            if not server.is_alive():  # it started while the database was away
                self.servers[number] = self._fork_server.start(serve, self.settings[number])

    def stop(self) -> None:
        for process in [*self.workers, *self.servers]:
            _kill(process)
        self.client.close()

    def _wake_later(self, process: psutil.Process) -> None:
        since = self._stopped.setdefault(process.pid, time.monotonic())
        if time.monotonic() - since > 1.5 * self.script.lease_seconds:
            del self._stopped[process.pid]
            process.send_signal(signal.SIGCONT)


def _kill(process: BaseProcess) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.join(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def run(folder: Path, script: Script, database: PostgresProcess | None = None) -> Outcome:
    """Let the fleet train a grid while kills fall; then hold what is there against the promises."""
    fleet = Fleet(folder, script, database)
    fleet.start()
    started = time.monotonic()
    try:
        fleet.client.create_study(grid_of(script.trials))
        killed = _conduct(fleet, script, started)
        seconds = time.monotonic() - started
        study = fleet.client.study(STUDY).record()
    finally:
        fleet.stop()
    db = Database.open(fleet.settings[0].database, migrate=False)
    try:
        said = read_history(folder / "journal")
        found = checker.violations(db, STUDY, said, planned=script.trials)
    finally:
        db.close()
    return Outcome(script, seconds, killed, found, study, said)


def _conduct(fleet: Fleet, script: Script, started: float) -> dict[str, int]:
    """Kill according to progress until the study has ended; returns how many of each."""
    blows: list[tuple[str, Callable[[], None], int]] = [
        ("workers", fleet.kill_worker, script.worker_kills),
        ("servers", fleet.kill_server, script.server_kills),
        ("databases", fleet.kill_database, script.database_kills),
    ]
    due = sorted(
        ((i + fleet.rng.random()) / (count + 1) * script.trials, name, blow)
        for name, blow, count in blows
        for i in range(count)
    )
    killed = {name: 0 for name, _, count in blows if count}
    while time.monotonic() - started < script.limit_seconds:
        study = _look(fleet)
        if study is not None:
            if study.state in FINISHED_STUDY_STATES:
                return killed
            done = sum(n for state, n in study.trial_counts.items() if state not in ("waiting", "running"))
            while due and due[0][0] <= done:
                _, name, blow = due.pop(0)
                blow()
                killed[name] += 1
        fleet.revive()
        time.sleep(LOOK_SECONDS)
    return killed


def _look(fleet: Fleet) -> Study | None:
    try:
        return fleet.client.study(STUDY).record()
    except HpsearchError:
        return None
