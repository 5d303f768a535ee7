"""The doctor finds what is wrong and says what to do."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.cli import checkup
from hpsearch.home import Home
from tests.cli.conftest import Answer, Hpsearch


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_sqlite_versions_with_the_wal_bug(version: tuple[int, int, int], has: bool) -> None:
    assert checkup.has_wal_bug(version) is has
    assert (checkup.sqlite(version).state == "warning") is has


def test_home_that_can_not_be_written_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    finding = checkup.writable("home", file)
    assert finding.state == "broken"
    assert "--home" in finding.remedy


def test_folder_is_probed_and_left_clean(tmp_path: Path) -> None:
    assert checkup.writable("home", tmp_path / "not" / "yet").state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10 * 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert checkup.disk(tmp_path).state == "broken"


def test_network_file_system_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "file_system_of", lambda _: "nfs4")
    assert checkup.file_system(tmp_path).state == "broken"


def test_doctor_reports_all_and_exits_1_where_something_is_broken(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkup, "torch", list)  # another test's business, and slow
    well = hpsearch("doctor", "--home", tmp_path, "--json")
    names = [finding["name"] for finding in json.loads(well.out)["findings"]]
    assert names == ["python", "sqlite", "home", "file system", "data", "disk", "server"]
    assert well.code == 0
    ill = hpsearch("doctor", "--home", tmp_path, "--server", "http://127.0.0.1:9")
    assert ill.code == 1
    assert "✗ server  no server answers at http://127.0.0.1:9" in ill.out


def test_torch_is_asked_in_a_process_of_its_own() -> None:
    findings = {finding.name: finding for finding in checkup.torch()}
    assert findings["torch"].state == "ok"
    assert "gpu" in findings


def test_linked_sqlite_is_examined() -> None:
    assert sqlite3.sqlite_version in checkup.sqlite(sqlite3.sqlite_version_info).text


def finding(answer: Answer, name: str) -> dict[str, str]:
    found: dict[str, str] = next(f for f in json.loads(answer.out)["findings"] if f["name"] == name)
    return found


def test_a_home_that_is_not_there_is_not_well(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkup, "torch", list)
    (tmp_path / "experiments").mkdir()
    found = finding(hpsearch("doctor", "--home", tmp_path / "experiment", "--json"), "home")
    assert found["state"] == "warning"
    assert "there is no home" in found["text"]
    assert "hpsearch serve" in found["remedy"]
    there = finding(hpsearch("doctor", "--home", tmp_path / "experiments", "--json"), "home")
    assert there["state"] == "warning"
    (tmp_path / "experiments" / "hpsearch.db").touch()
    found = finding(hpsearch("doctor", "--home", tmp_path / "experiment", "--json"), "home")
    assert found["remedy"] == f"did you mean {tmp_path / 'experiments'}?"
    assert finding(hpsearch("doctor", "--home", tmp_path / "experiments", "--json"), "home")["state"] == "ok"


def test_a_server_that_is_not_ready_is_broken(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkup, "torch", list)
    with background(Settings(home=Home(tmp_path), port=0, min_free_mib=10**9)) as address:
        deadline = time.monotonic() + 10
        while checkup.readiness(address.url) is None and time.monotonic() < deadline:
            time.sleep(0.02)  # the disk is looked at by the server's first tick
        answer = hpsearch("doctor", "--home", tmp_path, "--json")
    assert answer.code == 1
    found = finding(answer, "server")
    assert found["state"] == "broken"
    assert f"{address.url} can't work now: disk:" in found["text"]
    assert "MiB are free" in found["text"]
