"""The home directory: private files, whole or absent."""

import errno
import stat
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError, NotFound
from hpsearch.home import Home, ServerAddress


def test_token_and_address_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "home").create()
    home.write_token("secret")
    home.write_address(ServerAddress("http://127.0.0.1:1", 42))
    assert home.read_token() == "secret"
    assert home.read_address() == ServerAddress("http://127.0.0.1:1", 42)
    assert {stat.S_IMODE(p.stat().st_mode) for p in home.path.iterdir()} == {0o600}
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_nothing_there_is_none(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "nowhere")
    assert home.read_token() is None
    assert home.read_address() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"url": "x", "pid": "y"}'])
def test_a_torn_address_file_is_no_server(tmp_path: Path, text: str) -> None:
    home = Home.locate(tmp_path)
    home.address_file.write_text(text)
    assert home.read_address() is None


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HpsearchError, match="can't make the home directory"):
        Home.locate(tmp_path / "file" / "home").create()


def test_the_environment_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "there"))
    assert Home.locate().path == tmp_path / "there"
    assert Home.locate(tmp_path / "flag").path == tmp_path / "flag"


def test_a_home_keeps_one_database_s_checkpoints(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "home").create()
    assert home.claim("first")
    assert home.claim("second")  # nothing lies here yet
    (home.checkpoints / "1" / "last").mkdir(parents=True)
    assert not home.claim("first")
    assert home.claim("second")
    (home.checkpoints / "1" / "last").rmdir()
    (home.checkpoints / "1").rmdir()
    assert home.claim("first")


def test_a_home_of_before_belongs_to_whoever_opens_it_first(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "home").create()
    (home.checkpoints / "1").mkdir(parents=True)
    assert home.claim("first")
    assert not home.claim("second")


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "gone")
    with pytest.raises(HpsearchError, match=f"can't write {home.token_file}: no such file"):
        home.write_token("secret")


def test_a_full_disk_leaves_no_piece_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.locate(tmp_path)

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(HpsearchError, match="no space left on device"):
        home.write_token("secret")
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_known_by_what_a_server_left(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no home"):
        Home.locate(tmp_path / "none").existing()
    home = Home.locate(tmp_path / "home").create()
    with pytest.raises(NotFound, match="no server has run on the folder"):
        home.existing()
    home.claim("first")
    assert home.existing() is home


def test_only_the_traces_of_a_start_are_discarded(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "home").create()
    home.lock.touch()
    home.claim("first")
    (home.path / "hpsearch.db").touch()
    home.discard()
    assert home.lock.exists()
    (home.path / "hpsearch.db").unlink()
    home.discard()
    assert not home.path.exists()
