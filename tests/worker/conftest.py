import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hpsearch.records import Slot, Worker, WorkerId, WorkerState
from hpsearch.worker.crew import Crew
from hpsearch.worker.devices import LocalSlot
from hpsearch.worker.environment import child_environment
from hpsearch.worker.launcher import ForkServer, Launcher
from hpsearch.worker.settings import Limits, WorkerSettings
from hpsearch.worker.workplace import Workplace
from tests.worker.fake_server import FakeServer

HERE = Path(__file__).parent
QUICK = Limits(startup=20, no_progress=20, grace=5, drain=10, orphan=60, patience=1)


@pytest.fixture(scope="session")
def launcher() -> Iterator[ForkServer]:
    """One fork server for all tests: importing torch takes longer than most of them."""
    broken: list[str] = []
    fork_server = ForkServer(child_environment(os.environ, threads=1), broken.append)
    fork_server.start()
    yield fork_server
    fork_server.close()
    assert broken == []


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    with fake.changed:
        fake.away = True
        fake.changed.notify_all()


MakeCrew = Callable[..., Crew]


@pytest.fixture
def make_crew(server: FakeServer, launcher: ForkServer, tmp_path: Path) -> Iterator[MakeCrew]:
    """A started crew; it ends with the test."""
    crews: list[Crew] = []

    def make(
        *,
        slots: int = 1,
        limits: Limits = QUICK,
        max_trials: int = 16,
        interval: float = 0.1,
        by: Launcher = launcher,
        allow_commands: bool = False,
    ) -> Crew:
        now = datetime.now(UTC)
        places = [
            LocalSlot(Slot(device="cpu", index=index, name="cpu"), visible_devices="")
            for index in range(slots)
        ]
        worker = Worker(
            id=WorkerId(1),
            name="test",
            state=WorkerState.ACTIVE,
            host="h",
            slots=tuple(place.slot for place in places),
            version="1",
            running=0,
            registered_at=now,
            last_seen_at=now,
        )
        settings = WorkerSettings(
            server="http://fake",
            token=None,
            home=tmp_path,
            data_dir=tmp_path / "data",
            tasks_dir=HERE,
            allow_commands=allow_commands,
            max_trials=max_trials,
            lease_wait_seconds=5,
            report_interval_seconds=interval,
            limits=limits,
        )
        folder = tmp_path / "worker"
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        crew = Crew(
            settings,
            Workplace("test", folder),
            places,
            worker,
            server,
            by,
            random.Random(0),
            on_drain=lambda: None,
            on_fatal=lambda error: None,
        )
        crew.start()
        crews.append(crew)
        return crew

    yield make
    for crew in crews:
        crew.close()
