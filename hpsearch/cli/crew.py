"""What `hpsearch run` starts on this machine: the home's server, unless one runs, and local workers."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hpsearch.cli.connect import home_client, named_client, running, settled
from hpsearch.cli.processes import Companion, start, start_server
from hpsearch.cli.show import note
from hpsearch.home import Home

if TYPE_CHECKING:
    from hpsearch.client import Client

WORKER_GRACE_SECONDS = 40.0  # a worker's own limit for handing its trials back is 25 s
SERVER_GRACE_SECONDS = 10.0
ADDRESS_SECONDS = 60.0


@dataclass(frozen=True)
class CrewPlan:
    """What is wanted. `server`: a server by URL instead of the home's own."""

    home: Home
    tasks: Path | None
    workers: int
    slots: int | None
    data: Path | None
    database_url: str | None
    server: str | None
    token: str | None
    commands: bool = False  # whether the study is one


class Crew:
    """The processes of one `hpsearch run`. They end when the block ends: workers first, then the server."""

    def __init__(self, plan: CrewPlan) -> None:
        self._plan = plan
        self._server: Companion | None = None
        self._workers: list[Companion] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and issubclass(kind, KeyboardInterrupt) and self._workers:
                note("stopping: trials under way are handed back (Ctrl-C again kills them)")
            self._stop()
        except KeyboardInterrupt:
            for companion in (*self._workers, *([self._server] if self._server else [])):
                companion.kill()
            raise

    def muster(self) -> "Client":
        """A client of the server, which is started where none runs.

        On a home without a database nothing can be finished yet, so the workers start at the same time.
        """
        plan = self._plan
        if plan.server is not None:
            return named_client(plan.server, plan.token, plan.home)
        address = running(plan.home)
        if address is None:
            new = plan.database_url is None and not (plan.home.path / "hpsearch.db").exists()
            self._server = start_server(plan.home, plan.database_url)
            if new:
                self.start_workers()
            address = settled(self._server, plan.home)
            if address.pid != self._server.process.pid:
                self._server = None
        return home_client(plan.home, address)

    def start_workers(self) -> None:
        """Start the local workers, unless they run already."""
        if not self._workers:
            self._workers = [self._start_worker(number) for number in range(self._plan.workers)]

    def check(self) -> None:
        """Raise HpsearchError where one of them has ended by itself."""
        for companion in (*([self._server] if self._server else []), *self._workers):
            companion.check()

    def dismiss(self) -> None:
        """Tell the workers to end, without waiting for them."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.process.terminate()

    def _start_worker(self, number: int) -> Companion:
        plan = self._plan
        # The same name again takes its predecessor's leases over at once, so a killed run goes on without
        # waiting for them to end. On a server that others use too, the name must be this process's own.
        name = f"local-{number}" if self._server is not None else f"local-{os.getpid()}-{number}"
        arguments = ["worker", "start", "--name", name, "--home", str(plan.home.path)]
        arguments += ["--server", plan.server] if plan.server else ["--wait", str(ADDRESS_SECONDS)]
        arguments += ["--tasks", str(plan.tasks)] if plan.tasks else []
        arguments += ["--allow-commands"] if plan.tasks and plan.commands else []
        arguments += ["--data", str(plan.data)] if plan.data else []
        slots = plan.slots or _share_of_cores(plan.workers)
        arguments += ["--slots", str(slots)] if slots else []
        environment = {"HPSEARCH_TOKEN": plan.token} if plan.server and plan.token else {}
        return start(f"worker {name}", arguments, plan.home.logs / f"worker-{number}.log", environment)

    def _stop(self) -> None:
        self.dismiss()
        for worker in self._workers:
            worker.stop(grace_seconds=WORKER_GRACE_SECONDS)
        if self._server is not None:
            self._server.stop(grace_seconds=SERVER_GRACE_SECONDS)


def _share_of_cores(workers: int) -> int | None:
    """Several workers on a machine without GPUs share its cores; else each decides for itself."""
    if workers == 1 or Path("/dev/nvidiactl").exists():
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores // workers, 1)
