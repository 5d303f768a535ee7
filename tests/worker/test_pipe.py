import socket
import threading
from collections.abc import Iterator

import pytest

from hpsearch.records import Outcome, Points, RunId
from hpsearch.worker.pipe import (
    TO_CHILD,
    TO_DAEMON,
    Channel,
    Finished,
    Progress,
    Started,
    Stop,
    ToChild,
    ToDaemon,
)

Ends = tuple[Channel[ToDaemon], Channel[ToChild]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, TO_DAEMON), Channel(theirs, TO_CHILD)


def test_messages_arrive_whole_and_in_order(ends: Ends) -> None:
    daemon, child = ends
    run = RunId(3)
    big = Progress(run_id=run, series={"loss": Points(steps=tuple(range(200_000)), values=(1.5,) * 200_000)})
    sent = [
        Started(run_id=run),
        big,
        Finished(run_id=run, outcome=Outcome(state="completed", value=float("nan"))),
    ]
    sender = threading.Thread(target=lambda: [child.send(message) for message in sent])
    sender.start()
    received = [daemon.receive(10) for _ in sent]
    sender.join()
    assert received[:2] == sent[:2]
    assert isinstance(received[2], Finished)
    assert received[2].outcome.value != received[2].outcome.value


def test_silence_times_out_and_a_closed_end_is_none(ends: Ends) -> None:
    daemon, child = ends
    with pytest.raises(TimeoutError):
        daemon.receive(0.01)
    child.send(Started(run_id=RunId(1)))
    child.close()
    assert daemon.receive(1) == Started(run_id=RunId(1))
    assert daemon.receive(1) is None


def test_waiting_tells_without_waiting(ends: Ends) -> None:
    daemon, child = ends
    assert not child.waiting()
    daemon.send(Stop(run_id=None))
    assert child.waiting()
    assert child.receive(1) == Stop(run_id=None)
    assert not child.waiting()


def test_hanging_up_ends_the_stream_after_what_has_arrived(ends: Ends) -> None:
    """A grandchild that keeps the socket open must not keep the daemon waiting."""
    daemon, child = ends
    child.send(Started(run_id=RunId(1)))
    daemon.hang_up()
    assert daemon.receive(1) == Started(run_id=RunId(1))
    assert daemon.receive(1) is None
    child.close()
