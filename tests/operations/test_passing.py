"""A command on a home without a server starts one for itself, says so, and has it leave when one comes to stay."""

import subprocess
import sys
import time
from collections.abc import Callable

from api.server import background
from api.settings import Settings
from tests.api.scenes import grid_spec, post_spec
from tests.cli.conftest import Hpsearch, _apart, _own_log, hpsearch
from tests.operations.served import asking

__all__ = ["_apart", "_own_log", "hpsearch"]
HPSEARCH = [sys.executable, "-m", "hpsearch.cli.main"]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def begin(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*HPSEARCH, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_command_says_that_it_has_started_a_server(settings: Settings, hpsearch: Hpsearch) -> None:
    with background(settings):
        pass
    answer = hpsearch("study", "list", "--home", settings.home.path, "--json")
    assert answer.code == 0
    assert answer.out.strip() == "[]"
    said = f"no server runs on the home {settings.home.path}: this command has started one for itself, http://127"
    assert answer.err.startswith(said)
    with background(settings):
        assert hpsearch("study", "list", "--home", settings.home.path).err == ""


def test_a_server_that_comes_to_stay_does_not_wait_for_who_watches(settings: Settings) -> None:
    home = settings.home
    with background(settings) as address, asking(address.url, home) as http:
        post_spec(http, grid_spec())
    watch = begin("study", "watch", "a-grid", "--home", home.path)
    until(lambda: bool(home.read_addresses()))
    stays = begin("serve", "--port", 0, "--home", home.path)
    try:
        until(lambda: stays.poll() is not None or any(one.pid == stays.pid for one in home.read_addresses()))
        assert stays.poll() is None, stays.communicate()
        (there,) = home.read_addresses()
        _, said = watch.communicate(timeout=60)
        assert watch.returncode == 5
        assert f"has left the home {home.path} to the one at {there.url}" in said
        assert "run the command again" in said
        # One that stays is not asked to leave.
        second = subprocess.run(
            [*HPSEARCH, "serve", "--port", "0", "--home", str(home.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 4
        assert stays.poll() is None
    finally:
        stays.terminate()
        stays.communicate()
