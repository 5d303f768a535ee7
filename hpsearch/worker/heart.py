"""The worker's heartbeat: renews its leases, and brings what the server wants ended."""

import random
import threading
import time
from collections.abc import Callable

from hpsearch.errors import HpsearchError, ServerUnreachable
from hpsearch.records import RunId, WorkerId
from hpsearch.wire import HeartbeatRequest, HeartbeatResponse
from hpsearch.worker.guard import guarded
from hpsearch.worker.outage import Outage
from hpsearch.worker.server import REFUSALS, Server

_BEATS_PER_LEASE = 3  # two may be lost (guarantees.md, rule 6)


class Heart:
    """Beats three times a lease, with jitter; the first beat comes at a random moment of that time.

    `on_fatal` hears of a refusal, and of a server that was out of reach for `orphan_seconds`.
    """

    def __init__(
        self,
        server: Server,
        worker_id: WorkerId,
        held: Callable[[], tuple[RunId, ...]],
        on_answer: Callable[[HeartbeatResponse], None],
        on_fatal: Callable[[HpsearchError], None],
        rng: random.Random,
        *,
        lease_seconds: float,
        orphan_seconds: float,
    ) -> None:
        self._server = server
        self._worker_id = worker_id
        self._held = held
        self._on_answer = on_answer
        self._rng = rng
        self._lease_seconds = lease_seconds
        self._orphan_seconds = orphan_seconds
        self._outage = Outage("no heartbeat, training goes on", "leases are renewed")
        self._hurry = threading.Event()
        self._closed = False
        self._thread = guarded("heartbeat", self._work, on_fatal)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._hurry.set()

    def expect(self, lease_seconds: float) -> None:
        """Leases last this long from now on."""
        if lease_seconds < self._lease_seconds:
            self._hurry.set()  # the wait under way may be too long
        self._lease_seconds = lease_seconds

    def _work(self) -> None:
        heard_at = time.monotonic()
        self._hurry.wait(self._rng.uniform(0, self._lease_seconds / _BEATS_PER_LEASE))
        while not self._closed:
            self._hurry.clear()
            if self._beat():
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > self._orphan_seconds:
                raise ServerUnreachable(
                    f"the server has not answered for {self._orphan_seconds:g} s; training was given up"
                )
            self._hurry.wait(self._lease_seconds / _BEATS_PER_LEASE * self._rng.uniform(0.8, 1.0))

    def _beat(self) -> bool:
        """One heartbeat; False where the server did not answer it. Raises where it refuses this worker."""
        try:
            answer = self._server.heartbeat(self._worker_id, HeartbeatRequest(runs=self._held()))
        except REFUSALS:
            raise
        except HpsearchError as error:
            self._outage.note(error)
            return False
        self._outage.over()
        self._on_answer(answer)
        return True
