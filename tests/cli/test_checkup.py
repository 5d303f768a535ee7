"""The doctor finds what is wrong and says what to do."""

import json
import sqlite3
from pathlib import Path

import pytest

from hpsearch.cli import checkup
from tests.cli.conftest import Hpsearch


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
