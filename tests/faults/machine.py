"""T10: a server, and perhaps its Postgres, on a disk of their own that fails under them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from api.resources import open_resources
from api.server import serve
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.home import Home
from tests.faults.chaos import PRELOADED, free_port
from tests.faults.children import ForkServer
from tests.faults.own_disk import SIZE, OwnDisk
from tests.faults.postgres_process import PostgresProcess

POSTGRES_SIZE = 512 * 2**20


@dataclass
class Machine:
    """Started and stopped as a whole. `database` is None where the server has SQLite."""

    disk: OwnDisk
    settings: Settings
    database: PostgresProcess | None
    server: BaseProcess

    def client(self) -> Client:
        token = self.settings.home.read_token()
        url = f"http://127.0.0.1:{self.settings.port}"
        return Client(url, token, timeout=5, patience_seconds=0)

    def start(self) -> None:
        if self.database is not None:
            self.database.start()
        self.server = ForkServer(PRELOADED).start(serve, self.settings)

    def stop(self) -> None:
        """Without warning."""
        if self.server.is_alive():
            self.server.kill()
            self.server.join()
        if self.database is not None:
            with suppress(psutil.NoSuchProcess):
                self.database.kill()

    def fail(self, way: str) -> None:
        match way:
            case "power cut":
                self._freeze()  # nobody hears an answer of the disk's any more
                self.disk.lose()
                self.stop()
            case "EIO":
                self.disk.lose()
            case "read-only":
                self.disk.become_read_only()

    def _freeze(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGSTOP)
        if self.database is not None:
            self.database.freeze()


@contextmanager
def running_machine(folder: Path, database: str) -> Iterator[Machine]:
    """Running, with its tables and token made."""
    disk = OwnDisk(folder, SIZE if database == "sqlite" else POSTGRES_SIZE)
    try:
        postgres = None if database == "sqlite" else PostgresProcess(folder / "pg")
        settings = Settings(
            home=Home(folder / "home"),
            port=free_port(),
            database_url=None if postgres is None else postgres.url,
            lease_seconds=3,
            reaper_seconds=0.5,
            min_free_mib=0,
            ballast_mib=0,
            log_level="error",
        )
        with open_resources(settings):
            pass
        made = Machine(disk, settings, postgres, BaseProcess())
        made.start()
        yield made
        made.stop()
        if postgres is not None:
            postgres.stop()
    finally:
        disk.remove()
