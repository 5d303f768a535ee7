"""T8: a real client through a proxy that misbehaves; each case must end with every trial recorded once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.records import Outcome, Points, Slot, TrialState
from hpsearch.wire import HeartbeatRequest, LeaseRequest, RegisterWorker, ReportRequest, RunReport
from tests.faults.chaos import STUDY, grid_of
from tests.faults.proxy import FAIR, Proxy, Weather

LEASE = 2.0
CASES = {
    "requests vanish": Weather(up=False),
    "answers vanish": Weather(down=False),
    "nothing passes": Weather(up=False, down=False),
    "everything is late": Weather(delay_seconds=0.4),
    "the request is cut in its headers": Weather(reset_up_after=60),
    "the request is cut in its body": Weather(reset_up_after=700),
    "the answer is cut at once": Weather(reset_down_after=0),
    "the answer is cut in the middle": Weather(reset_down_after=150),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=Home(tmp_path / "home"), port=0, lease_seconds=LEASE, reaper_seconds=0.2, min_free_mib=0
    )


@pytest.fixture
def ways(settings: Settings) -> Iterator[tuple[Client, Client, Proxy]]:
    """(a client that goes straight to the server, one through the proxy, the proxy)."""
    with background(settings) as address:
        proxy = Proxy(int(address.url.rpartition(":")[2]))
        token = settings.home.read_token()
        straight = Client(address.url, token)
        through = Client(f"http://127.0.0.1:{proxy.port}", token, timeout=0.5, patience_seconds=0)
        yield straight, through, proxy
        proxy.close()
        through.close()
        straight.close()


@pytest.mark.parametrize("case", CASES)
def test_every_trial_is_recorded_once_whatever_the_network_does(
    ways: tuple[Client, Client, Proxy], case: str
) -> None:
    straight, through, proxy = ways
    straight.create_study(grid_of(2))
    slot = Slot(device="cpu", index=0, name="cpu")
    body = RegisterWorker(name="node", host="h", version="0", slots=(slot,), start_id="start-of-node")
    worker = until_answered(lambda: through.register_worker(body))
    number = 0
    while straight.study(STUDY).record().state == "running":
        request = LeaseRequest(
            worker_id=worker.id, request_id=f"request-{number}", max_trials=1, wait_seconds=0
        )
        number += 1
        break_off = threading.Timer(0.9, fair_again, (proxy,))
        proxy.weather = CASES[case]
        break_off.start()
        for lease in until_answered(lambda: through.lease(request)).leases:  # noqa: B023 - called at once
            until_answered(lambda: through.heartbeat(worker.id, HeartbeatRequest(runs=(lease.run_id,))))  # noqa: B023
            points = Points(steps=tuple(range(30)), values=(0.5,) * 30)
            one = RunReport(
                run_id=lease.run_id,
                seq=0,
                series={"loss": points},
                outcome=Outcome(state="completed", value=1.0),
            )
            report = ReportRequest(worker_id=worker.id, reports=(one,))
            assert until_answered(lambda: through.report(report)).results[0].status in ("ok", "lease_lost")  # noqa: B023
        break_off.cancel()
        fair_again(proxy)
    trials = list(straight.study(STUDY).trials())
    assert [trial.state for trial in trials] == [TrialState.COMPLETED] * 2
    for trial in trials:
        assert list(trial.metrics()["loss"].steps) == list(range(30))


def fair_again(proxy: Proxy) -> None:
    proxy.weather = FAIR


def until_answered(call):  # type: ignore[no-untyped-def]
    """As the worker does: the same call until it is answered."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return call()
        except HpsearchError as error:
            if error.code not in ("server_unreachable", "error") or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
