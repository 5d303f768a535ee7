"""Several servers of one Postgres on one home: local commands find one that lives, also without the database's URL."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.home import Home
from tests.api.scenes import grid_spec, post_spec
from tests.cli.conftest import Hpsearch, _apart, _own_log, hpsearch
from tests.conftest import Postgres
from tests.operations.served import asking

__all__ = ["_apart", "_own_log", "hpsearch"]


@pytest.fixture
def shared(postgres: Postgres, tmp_path: Path) -> Iterator[Settings]:
    url = postgres.create()
    yield Settings(home=Home(tmp_path / "shared"), database_url=url, port=0)
    postgres.drop(url)


def server_process(settings: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--port", "0"]
    place = ["--home", str(settings.home.path), "--database-url", str(settings.database_url)]
    process = subprocess.Popen([*command, *place], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while all(one.pid != process.pid for one in settings.home.read_addresses()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("ended", [signal.SIGTERM, signal.SIGKILL])
def test_the_first_server_is_found_when_the_last_one_has_ended(
    ended: signal.Signals, shared: Settings, hpsearch: Hpsearch
) -> None:
    with background(shared) as first, asking(first.url, shared.home) as http:
        post_spec(http, grid_spec())
        last = server_process(shared)
        last.send_signal(ended)
        last.communicate(timeout=30)
        answer = hpsearch("study", "list", "--home", shared.home.path, "--json")
        assert answer.code == 0, answer.err
        assert [study["name"] for study in json.loads(answer.out)] == ["a-grid"]
        # The home's token goes to each of its servers.
        assert hpsearch("study", "list", "--home", shared.home.path, "--server", first.url).code == 0
        if ended is signal.SIGTERM:
            assert json.loads(shared.home.address_file.read_text())["url"] == first.url
    assert shared.home.read_address() is None or ended is signal.SIGKILL


def test_the_last_server_is_found_when_the_first_one_has_ended(shared: Settings) -> None:
    with ExitStack() as servers:
        first = servers.enter_context(background(shared))
        with background(shared) as second:
            assert [one.url for one in shared.home.read_addresses()] == [second.url, first.url]
        assert [one.url for one in shared.home.read_addresses()] == [first.url]
    assert shared.home.read_addresses() == []


def test_a_server_of_another_kind_is_told_who_is_there(shared: Settings) -> None:
    first, last = server_process(shared), server_process(shared)
    last.kill()
    last.communicate()
    (alive,) = [one for one in shared.home.read_addresses() if one.pid == first.pid]
    # In a process of its own: file locks are a process's.
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--port", "0", "--home"]
    refused = subprocess.run([*command, str(shared.home.path)], capture_output=True, text=True, check=False)
    first.terminate()
    first.communicate()
    assert refused.returncode == 4
    assert f"another server runs on {shared.home.path} at {alive.url}" in " ".join(refused.stderr.split())
