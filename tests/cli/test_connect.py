"""Which server a command means, and which token goes to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.home import Home, ServerAddress
from hpsearch.worker import daemon
from hpsearch.worker.settings import WorkerSettings
from tests.cli.conftest import Hpsearch


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A home, and the URL of the server that runs on it."""
    place = Home(tmp_path_factory.mktemp("home"))
    with background(Settings(home=place, port=0)) as address:
        yield place, address.url


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerSettings]:
    """What workers were started with; none of them runs."""
    seen: list[WorkerSettings] = []

    def run(settings: WorkerSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(daemon, "run", run)
    return seen


@pytest.mark.parametrize("command", [["study", "list"], ["doctor"]])
def test_a_server_that_speaks_plain_http_is_named_so(
    command: list[str], served: tuple[Home, str], hpsearch: Hpsearch
) -> None:
    url = served[1].replace("http:", "https:")
    answer = hpsearch(*command, "--server", url, "--token", "hps_x")
    said = answer.err + answer.out
    assert answer.code == (1 if command == ["doctor"] else 5)
    assert f"the server at {url} speaks plain HTTP, not https" in said
    assert f"name it {served[1]}" in said


def test_the_base_of_the_api_is_the_server(served: tuple[Home, str], hpsearch: Hpsearch) -> None:
    token = served[0].read_token()
    assert hpsearch("study", "list", "--server", f"{served[1]}/api/v1", "--token", token).code == 0
    assert hpsearch("study", "list", "--server", f"{served[1]}/api/v1/", "--home", served[0].path).code == 0


def test_a_page_of_a_server_is_not_the_server(served: tuple[Home, str], hpsearch: Hpsearch) -> None:
    answer = hpsearch(
        "study", "list", "--server", f"{served[1]}/studies/7", "--token", served[0].read_token()
    )
    assert answer.code == 2
    assert f"{served[1]}/studies/7 is a page of a server" in answer.err
    assert f"name it without the path: {served[1]}" in answer.err


def test_a_worker_knows_the_home_s_server_by_all_names(
    served: tuple[Home, str], hpsearch: Hpsearch, started: list[WorkerSettings]
) -> None:
    url = served[1].replace("127.0.0.1", "localhost")
    assert hpsearch("worker", "start", "--server", url, "--home", served[0].path).code == 0
    assert started[0].token == served[0].read_token()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://gpu-1.example:8000", "https://192.0.2.7"])
def test_the_home_s_token_goes_to_no_other_server(
    url: str, served: tuple[Home, str], hpsearch: Hpsearch, started: list[WorkerSettings], tmp_path: Path
) -> None:
    assert hpsearch("worker", "start", "--server", url, "--home", served[0].path).code == 0
    place = Home(tmp_path / "home").create()
    place.write_token("hps_own")
    place.write_address(ServerAddress("http://127.0.0.1:4242", pid=2**22 + 1))  # of a server that was killed
    # Nor to a port of this machine at which the home's server may be about to start: whoever listens there has it.
    assert hpsearch("worker", "start", "--server", url, "--home", place.path).code == 0
    assert {settings.token for settings in started} == {None}
