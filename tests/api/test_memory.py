import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from api.memory import ARENAS
from api.settings import Settings
from hpsearch.client import Client
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
