import os
import random
import threading
import time
from pathlib import Path

import pytest

from hpsearch.worker import daemon
from hpsearch.worker.daemon import Daemon, Order
from hpsearch.worker.kept import STALE_SECONDS, drop_stale, mark_used
from hpsearch.worker.settings import WorkerSettings
from hpsearch.worker.workplace import take_workplace
from tests.worker.fake_server import FakeServer

NOW = 1_800_000_000.0
FRESH, STALE = NOW - STALE_SECONDS + 60, NOW - STALE_SECONDS - 60


def leave(worker_folder: Path, name: str, *, folder_at: float, file_at: float) -> Path:
    """What a command has kept, last written at these times."""
    folder = worker_folder / "kept" / name
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "state"
    file.write_bytes(b"weights")
    os.utime(file, (file_at, file_at))
    for path in (folder / "deep", folder):
        os.utime(path, (folder_at, folder_at))
    return folder


def test_only_what_was_untouched_for_a_week_is_removed(tmp_path: Path) -> None:
    stale = leave(tmp_path, "stale", folder_at=STALE, file_at=STALE)
    written = leave(tmp_path, "written", folder_at=STALE, file_at=FRESH)
    used = leave(tmp_path, "used", folder_at=FRESH, file_at=STALE)
    drop_stale(tmp_path, now=NOW)
    assert [folder.exists() for folder in (stale, written, used)] == [False, True, True]


def test_where_nothing_was_kept_nothing_is_removed(tmp_path: Path) -> None:
    drop_stale(tmp_path, now=NOW)


def test_a_run_at_work_keeps_its_folder_though_it_writes_nothing(tmp_path: Path) -> None:
    folder = leave(tmp_path, "old", folder_at=STALE, file_at=STALE)
    mark_used(folder)
    drop_stale(tmp_path, now=time.time())
    assert folder.exists()


def test_a_worker_removes_them_when_it_starts(tmp_path: Path) -> None:
    folder = leave(tmp_path / "workers" / "node", "old", folder_at=0, file_at=0)
    with take_workplace(tmp_path, "node"):
        assert not folder.exists()


def test_a_worker_that_runs_removes_them_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_SWEEP_SECONDS", 0.2)
    settings = WorkerSettings(
        "http://fake", None, tmp_path, tmp_path, name="node", slots=1, device="cpu", lease_wait_seconds=0.2
    )
    server = FakeServer()
    worker = Daemon(settings, server, random.Random(0))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        server.wait_for(lambda: server.asked, 30)
        folder = leave(tmp_path / "workers" / "node", "old", folder_at=0, file_at=0)
        deadline = time.monotonic() + 10
        while folder.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        worker.order(Order.DRAIN)
        thread.join()
