import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from api.server import background, bind
from api.settings import Settings
from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.home import Home
from hpsearch.server_url import is_loopback_host
from tests.api.scenes import API


def run_server(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--home", str(settings.home.path)]
    return subprocess.Popen(
        [*command, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def told_by(refused: subprocess.Popen[str]) -> tuple[str, str]:
    """What a server that must not start says; one that has started is ended."""
    try:
        return refused.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        refused.kill()
        return refused.communicate()


def test_a_second_server_on_a_home_is_refused_with_one_sentence(settings: Settings) -> None:
    with background(settings) as address:
        second = run_server(settings)
        output, error = told_by(second)
    assert second.returncode == 4
    assert output == ""
    assert f"another server runs on {settings.home.path} at {address.url}" in " ".join(error.split())
    assert "Traceback" not in error


def test_a_second_database_on_a_home_with_checkpoints_is_refused_with_one_sentence(
    settings: Settings, tmp_path: Path
) -> None:
    with background(settings):
        (settings.home.checkpoints / "1").mkdir(parents=True)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    for _ in range(2):  # being refused changes nothing
        process = run_server(settings, "--database-url", other)
        output, error = told_by(process)
        said = " ".join(error.split())
        assert process.returncode == 4
        assert output == ""
        assert f"the home {settings.home.path} keeps the checkpoints of another database than {other}" in said
        assert f"remove {settings.home.checkpoints}" in said
        assert "Traceback" not in error
    with background(settings):
        pass


def test_a_server_tells_where_it_is_and_forgets_it_at_the_end(settings: Settings) -> None:
    process = run_server(settings)
    try:
        deadline = time.monotonic() + 30
        while (address := settings.home.read_address()) is None and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        assert address is not None
        assert address.pid == process.pid
        headers = {"Authorization": f"Bearer {settings.home.read_token()}"}
        answer = httpx2.get(f"{address.url}{API}/studies", headers=headers, trust_env=False)
        assert answer.json()["total"] == 0
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 0
    assert settings.home.read_address() is None
    assert "Traceback" not in error


def test_a_taken_port_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(HpsearchError, match=f"port {port} on 127.0.0.1 can't be used") as caught,
            background(settings.model_copy(update={"port": port})),
        ):
            pass
    assert "--port" in str(caught.value.hint)


def test_a_foreign_address_is_named() -> None:
    with pytest.raises(InvalidInput, match="not an address of this machine"):
        bind("no-such-host.invalid", 0)


def test_a_public_server_without_an_admin_token_is_refused_before_it_listens(tmp_path: Path) -> None:
    public = Settings(home=Home(tmp_path / "home"), host="0.0.0.0", port=0)
    with pytest.raises(InvalidInput, match=r"0\.0\.0\.0 can be reached by others"), background(public):
        pass
    assert public.home.read_token() is None
    with background(public.model_copy(update={"host": "127.0.0.1"})):
        pass
    with background(public) as address:
        assert httpx2.get(f"{address.url}/version", trust_env=False).status_code == 200
        assert httpx2.get(f"{address.url}{API}/studies", trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)],
)
def test_only_this_machines_addresses_are_loopback(host: str, own: bool) -> None:
    assert is_loopback_host(host) is own


def test_a_created_application_has_loaded_no_torch_and_starts_fast(settings: Settings) -> None:
    program = (
        "import sys, time; started = time.process_time()\n"
        "import api.app; api.app.create_app()\n"
        "print(time.process_time() - started, *sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    environment = {**os.environ, "HPSEARCH_HOME": str(settings.home.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    seconds, *loaded = done.stdout.split()
    assert not {"torch", "torchvision", "safetensors", "scipy", "sklearn", "httpx2"} & set(loaded)
    assert float(seconds) < 2  # of processor time; about 0.7 s on a quiet machine


def test_a_second_home_on_the_same_sqlite_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    with background(settings):
        other = settings.model_copy(
            update={"home": Home(tmp_path / "other"), "database_url": settings.database}
        )
        second = run_server(other, "--database-url", settings.database)
        _, error = told_by(second)
    assert second.returncode == 4, error
    assert "has the database" in " ".join(error.split())
    assert "Traceback" not in error


def test_answers_do_not_wait_for_delayed_acknowledgements(settings: Settings) -> None:
    with background(settings) as address, httpx2.Client(trust_env=False) as http:
        http.get(f"{address.url}/version")
        took = []
        for _ in range(15):
            began = time.perf_counter()
            http.get(f"{address.url}/version")
            took.append(time.perf_counter() - began)
    assert min(took) < 0.03  # 40 ms each where Nagle's algorithm waits
