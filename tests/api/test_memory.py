import gc
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from api.memory import ARENAS
from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.api.test_server import run_server

HEAP = 64 << 20  # bytes: what glibc maps for an arena, at a multiple of it; the main arena has none


def heaps(maps: str) -> int:
    """In how many of its arenas beside the main one a process keeps memory: what is used, and behind it what is not yet."""
    lines = re.findall(r"^(\w+)-(\w+) (\S+)", maps, re.M)
    ranges = [(int(low, 16), int(high, 16), rights) for low, high, rights in lines]
    return sum(
        used == "rw-p" and low % HEAP == 0 and (high, rest) == (start, "---p") and end >= low + HEAP
        for (low, high, used), (start, end, rest) in pairwise(ranges)
    )


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads what Linux tells of a process's memory"
)
def test_threads_that_answer_at_once_share_two_arenas(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    server = run_server(settings)
    try:
        assert server.stderr is not None
        found = re.search(r"http\S+\d", server.stderr.readline())
        assert found is not None
        with Client(found[0], settings.home.read_token()) as client, ThreadPoolExecutor(16) as readers:
            assert len(list(readers.map(lambda _: list(client.studies()), range(320)))) == 320
        maps = Path(f"/proc/{server.pid}/maps").read_text()
    finally:
        server.terminate()
        server.communicate()
    assert heaps(maps) < ARENAS


def test_steady_work_leaves_nothing_to_the_garbage_collector(settings: Settings) -> None:
    """A statement built for each request, with values or an upsert in it, refers to itself."""
    with background(settings) as address, httpx2.Client(base_url=address.url) as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        assert post_spec(http, grid_spec(points=40)).status_code == 201
        worker = register(http)

        def work_and_look(number: int) -> None:
            run = lease(http, worker, request_id=f"request-{number}").leases[0]
            beat = http.post(f"{API}/workers/{worker}/heartbeat", json={"runs": [run.run_id]})
            assert beat.json()["lost"] == []
            report = {
                "run_id": run.run_id,
                "seq": 0,
                "log": "an epoch\n",
                "series": {"val_loss": {"steps": [1], "values": [0.5]}},
                "outcome": {"state": "completed", "value": 0.5, "measurements": {}, "steps": 1},
            }
            reported = http.post(f"{API}/leases:report", json={"worker_id": worker, "reports": [report]})
            assert reported.status_code == 200, reported.text
            for path in ("studies/a-grid", "studies/a-grid/trials", "studies/a-grid/best?n=3"):
                assert http.get(f"{API}/{path}").status_code == 200
            points = http.get(f"{API}/trials/{run.trial_id}/metrics").json()
            assert points["val_loss"]["values"] == [0.5]

        work_and_look(0)
        gc.collect()
        gc.disable()
        try:
            for number in range(1, 21):
                work_and_look(number)
            assert gc.collect() < 20
        finally:
            gc.enable()
