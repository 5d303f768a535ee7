import random
import threading
from collections.abc import Callable, Iterator

import pytest

from hpsearch.errors import HpsearchError, NotFound
from hpsearch.records import RunId, WorkerId
from hpsearch.wire import HeartbeatRequest, HeartbeatResponse
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.heart import Heart
from tests.worker.fake_server import FakeServer

HELD = (RunId(1), RunId(2))


class Listener:
    def __init__(self) -> None:
        self.answers: list[HeartbeatResponse] = []
        self.error: HpsearchError | None = None
        self.failed = threading.Event()

    def fail(self, error: HpsearchError) -> None:
        self.error = error
        self.failed.set()


Make = Callable[..., Listener]


@pytest.fixture
def make() -> Iterator[Make]:
    hearts: list[Heart] = []

    def begin(server: FakeServer, *, lease: float = 0.15, orphan: float = 60) -> Listener:
        listener = Listener()
        heart = Heart(
            server,
            WorkerId(1),
            lambda: HELD,
            listener.answers.append,
            listener.fail,
            random.Random(0),
            lease_seconds=lease,
            orphan_seconds=orphan,
        )
        heart.start()
        hearts.append(heart)
        return listener

    yield begin
    for heart in hearts:
        heart.close()


def test_each_beat_renews_all_leases_and_brings_the_answer(make: Make) -> None:
    server = FakeServer()
    server.stop = {RunId(2), RunId(9)}
    listener = make(server)
    server.wait_for(lambda: len(server.beats) >= 3, seconds=5)
    assert {beat.runs for beat in server.beats} == {HELD}
    assert listener.answers[0].stop == (RunId(2),)


def test_an_absent_server_is_borne_for_a_while(make: Make) -> None:
    server = FakeServer()
    server.away = True
    listener = make(server, orphan=0.3)
    assert not listener.failed.wait(0.2)
    assert listener.failed.wait(5)
    assert listener.error is not None
    assert "0.3 s" in listener.error.message


def test_a_server_that_comes_back_in_time_is_forgiven(make: Make) -> None:
    server = FakeServer()
    server.away = True
    listener = make(server, orphan=2)
    assert not listener.failed.wait(0.3)
    server.away = False
    server.wait_for(lambda: server.beats, seconds=5)
    assert listener.error is None


def test_a_refused_worker_ends(make: Make) -> None:
    class Forgetful(FakeServer):
        def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest, /) -> HeartbeatResponse:
            raise NotFound("there is no worker 1")

    listener = make(Forgetful())
    assert listener.failed.wait(5)
    assert isinstance(listener.error, NotFound)


def test_shorter_leases_hurry_the_heart(make: Make) -> None:
    server = FakeServer()
    heart = Heart(
        server,
        WorkerId(1),
        lambda: HELD,
        lambda answer: None,
        lambda error: None,
        random.Random(0),
        lease_seconds=3600,
        orphan_seconds=60,
    )
    heart.start()
    heart.expect(0.15)
    server.wait_for(lambda: len(server.beats) >= 2, seconds=5)
    heart.close()


def test_waits_are_drawn_below_a_ceiling_that_doubles_to_ten_seconds() -> None:
    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    backoff = Backoff(Highest())
    assert [backoff.next_seconds() for _ in range(6)] == [0.5, 1, 2, 4, 8, 10]
    backoff.reset()
    assert backoff.next_seconds() == 0.5
    draws = [Backoff(random.Random(seed)).next_seconds() for seed in range(200)]
    assert 0 <= min(draws) < 0.05
    assert 0.45 < max(draws) <= 0.5
