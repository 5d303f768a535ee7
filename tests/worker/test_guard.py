import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome, RunId, WorkerId
from hpsearch.wire import HeartbeatRequest, HeartbeatResponse, ReportRequest, ReportResponse
from hpsearch.worker.backlog import Backlog
from hpsearch.worker.guard import guarded
from hpsearch.worker.heart import Heart
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.uploader import Uploader
from tests.worker.fake_server import FakeServer

RUN = RunId(1)


class Faulty(FakeServer):
    """Its answers make faults in the worker."""

    def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest, /) -> HeartbeatResponse:
        raise RuntimeError("no more threads")

    def report(self, body: ReportRequest, /) -> ReportResponse:
        raise RuntimeError("no more threads")


class Listener:
    def __init__(self) -> None:
        self.error: HpsearchError | None = None
        self._told = threading.Event()

    def fail(self, error: HpsearchError) -> None:
        self.error = error
        self._told.set()

    def hears(self, words: str) -> None:
        assert self._told.wait(5)
        assert words in str(self.error)


@pytest.mark.parametrize(
    "error", [HpsearchError("it is so"), RuntimeError("it is so"), OSError(28, "it is so")]
)
def test_no_thread_ends_of_an_error_that_nobody_hears_of(error: Exception) -> None:
    def work() -> None:
        raise error

    listener = Listener()
    guarded("reader", work, listener.fail).start()
    listener.hears("it is so")


def test_a_fault_of_the_heart_is_told() -> None:
    listener = Listener()
    heart = Heart(
        Faulty(),
        WorkerId(1),
        lambda: (RUN,),
        lambda answer: None,
        listener.fail,
        random.Random(0),
        lease_seconds=0.1,
        orphan_seconds=60,
    )
    heart.start()
    listener.hears("the worker's thread heartbeat ended with RuntimeError: no more threads")


@pytest.fixture
def make_reporter(tmp_path: Path) -> Callable[[Listener], Reporter]:
    def make(listener: Listener) -> Reporter:
        backlog = Backlog(tmp_path / "b")
        return Reporter(Faulty(), WorkerId(1), backlog, random.Random(0), lambda run_id: None, listener.fail)

    return make


def test_a_fault_of_the_reporter_is_told(make_reporter: Callable[[Listener], Reporter]) -> None:
    listener = Listener()
    reporter = make_reporter(listener)
    reporter.open([RUN])
    reporter.start()
    reporter.finish(RUN, Outcome(state="released"))
    listener.hears("the worker's thread reporter ended with RuntimeError: no more threads")


def test_a_fault_of_an_uploader_is_told(
    make_reporter: Callable[[Listener], Reporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: Uploader) -> None:
        raise RuntimeError("no more threads")

    listener = Listener()
    monkeypatch.setattr(Uploader, "_work", fault)
    Uploader(
        Faulty(),
        WorkerId(1),
        make_reporter(Listener()),
        random.Random(0),
        lambda run_id: None,
        listener.fail,
    ).start()
    listener.hears("the worker's thread uploader ended with RuntimeError: no more threads")
