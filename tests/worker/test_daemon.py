"""Whole daemons, as processes and against servers that are not there."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hpsearch.errors import HpsearchError, ServerUnreachable, Unauthorized
from hpsearch.records import Worker
from hpsearch.wire import RegisterWorker, ReportRequest, ReportResponse
from hpsearch.worker import daemon
from hpsearch.worker.daemon import Daemon
from hpsearch.worker.settings import Limits, WorkerSettings
from tests.worker.fake_server import FakeServer
from tests.worker.processes import wait_until_gone

Started = tuple["subprocess.Popen[str]", list[int]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Started]]:
    """A daemon that trains on two slots, and the pids of its fork server and children."""
    processes: list[subprocess.Popen[str]] = []

    def begin(class_name: str) -> Started:
        command = [sys.executable, "-m", "tests.worker.daemon_process", str(tmp_path), class_name]
        root = Path(__file__).parents[2]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=root,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        processes.append(process)
        assert process.stdout is not None
        word, *pids = process.stdout.readline().split()
        assert word == "training"
        return process, [int(pid) for pid in pids]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_a_daemon_that_is_killed_takes_its_children_with_it_within_a_second(
    start: Callable[[str], Started],
) -> None:
    process, pids = start("Slow")
    assert len(pids) >= 3  # the fork server and a child per slot
    process.kill()
    process.wait()
    died_at = time.monotonic()
    for pid in pids:
        wait_until_gone(pid, seconds=max(0.0, died_at + 1 - time.monotonic()))


def test_a_deaf_child_dies_even_where_daemon_and_fork_server_are_killed_at_once(
    start: Callable[[str], Started],
) -> None:
    process, pids = start("Deaf")
    (fork_server,) = psutil.Process(process.pid).children()
    for pid in (fork_server.pid, process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    for pid in pids:
        wait_until_gone(pid, seconds=2)


def test_sigterm_hands_trials_back_with_a_checkpoint_and_exits_0(start: Callable[[str], Started]) -> None:
    process, pids = start("Slow")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output.split() == ["released", "released", "last", "last"]
    for pid in pids:
        wait_until_gone(pid, seconds=1)


def test_a_second_signal_ends_a_deaf_trial_at_once_and_it_is_still_released(
    start: Callable[[str], Started],
) -> None:
    process, _ = start("Deaf")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output.split() == ["released", "released"]


def settings_for(home: Path, **changes: object) -> WorkerSettings:
    base = {
        "server": "http://127.0.0.1:9",  # discard: nobody listens
        "token": "wrong",
        "home": home,
        "data_dir": home / "data",
        "slots": 1,
        "device": "cpu",
        "lease_wait_seconds": 0.2,
        "limits": Limits(patience=0.2, drain=2),
    }
    return WorkerSettings(**{**base, **changes})  # type: ignore[arg-type]


def test_without_a_server_it_ends_with_exit_code_5_after_a_short_patience(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        daemon.run(settings_for(tmp_path))
    assert caught.value.exit_code == 5
    assert "127.0.0.1:9" in caught.value.message


class Refusing(FakeServer):
    def register_worker(self, body: RegisterWorker, /) -> Worker:
        raise Unauthorized("this token is unknown")


def test_a_wrong_token_is_not_tried_again(tmp_path: Path) -> None:
    started_at = time.monotonic()
    with pytest.raises(Unauthorized):
        Daemon(settings_for(tmp_path, limits=Limits(patience=60)), Refusing(), random.Random(0)).run()
    assert time.monotonic() - started_at < 10


def test_a_worker_that_the_server_drains_finishes_its_trial_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = FakeServer(lease_seconds=0.3)
    server.drain = True
    (run,) = server.plan({"learning_rate": 0.1}, epochs=10)
    Daemon(settings_for(tmp_path), server, random.Random(0)).run()
    assert server.outcomes[run].state == "completed"
    assert "has 1 slot at" in caplog.text


def test_a_server_out_of_reach_for_too_long_ends_the_worker(tmp_path: Path) -> None:
    server = FakeServer(lease_seconds=0.3)
    server.plan({"learning_rate": 0.1}, epochs=1000)

    def leave() -> None:
        server.wait_for(lambda: server.beats)
        server.away = True

    threading.Thread(target=leave).start()
    limits = Limits(orphan=0.5, drain=0.5)
    with pytest.raises(ServerUnreachable, match="not answered for"):
        Daemon(settings_for(tmp_path, limits=limits), server, random.Random(0)).run()


def test_a_worker_whose_reporter_fails_ends_and_leaves_no_child(tmp_path: Path) -> None:
    class Faulty(FakeServer):
        def report(self, body: ReportRequest, /) -> ReportResponse:
            raise RuntimeError("no more threads")

    server = Faulty()
    server.plan({"learning_rate": 0.1}, epochs=1000)
    before = psutil.Process().children()  # other tests share a fork server
    with pytest.raises(HpsearchError, match="thread reporter ended with RuntimeError") as caught:
        Daemon(settings_for(tmp_path), server, random.Random(0)).run()
    assert caught.value.exit_code == 1
    assert {*psutil.Process().children()} <= {*before}


def test_a_machine_without_torch_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('No module named torch')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with pytest.raises(HpsearchError, match="can't train: No module named torch") as caught:
        Daemon(settings_for(tmp_path), FakeServer(), random.Random(0)).run()
    assert caught.value.hint is not None
    assert "pip install" in caught.value.hint
