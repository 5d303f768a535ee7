"""A token is taken as people hand it over, and shown to nobody."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import InvalidInput
from hpsearch.home import Home, ServerAddress
from tests.cli.conftest import Hpsearch

WRONG = ["hps_se\ncret", "hps_se cret", "hps_se\x7fcret", "garbage é cret", "hps_se\udce9cret"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, ServerAddress]]:
    """A home, and the address of the server that runs on it."""
    place = Home(tmp_path_factory.mktemp("home"))
    with background(Settings(home=place, port=0)) as address:
        yield place, address


@pytest.mark.parametrize("around", [" ", "\r", "\n", "\r\n", "\t"])
def test_blanks_around_a_token_are_no_part_of_it(
    around: str, home: tuple[Home, ServerAddress], hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, address = home
    token = f"{place.read_token()}{around}"
    assert hpsearch("token", "list", "--server", address.url, "--token", token).code == 0
    monkeypatch.setenv("HPSEARCH_TOKEN", token)
    assert hpsearch("token", "list", "--server", address.url).code == 0
    with Client(address.url) as client:
        assert client.tokens()


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("command", [["study", "list"], ["doctor"], ["worker", "start"], ["config", "show"]])
def test_what_is_no_token_is_refused_without_being_shown(
    wrong: str, command: list[str], hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in ("HPSEARCH_TOKEN", "--token"):
        if source == "HPSEARCH_TOKEN":
            monkeypatch.setenv(source, wrong)
            answer = hpsearch(*command, "--server", "http://127.0.0.1:9")
        else:
            answer = hpsearch(*command, "--server", "http://127.0.0.1:9", "--token", wrong)
        assert answer.code == 2, answer.err
        assert answer.err.startswith(f"Error: what {source} holds is not a token")
        assert "cret" not in answer.out + answer.err
        assert len(answer.err.splitlines()) == 2


def test_a_token_of_a_file_or_of_a_program_is_examined_too(tmp_path: Path, hpsearch: Hpsearch) -> None:
    (tmp_path / "hpsearch.toml").write_text('token = "hps_se cret"\n')
    answer = hpsearch("study", "list", "--server", "http://127.0.0.1:9")
    assert answer.code == 2
    assert "hpsearch.toml" in answer.err
    assert "cret" not in answer.err
    with pytest.raises(InvalidInput, match="what the argument `token` holds is not a token"):
        Client("http://127.0.0.1:9", "hps_se\ncret")


def test_a_home_whose_token_file_holds_something_else_says_so_until_its_server_starts(
    tmp_path: Path, hpsearch: Hpsearch
) -> None:
    place = Home(tmp_path / "spoilt").create()
    place.token_file.write_bytes(b"\xff\xfe two words")
    with pytest.raises(InvalidInput, match=str(place.token_file)):
        place.read_token()
    with background(Settings(home=place, port=0)):
        assert hpsearch("token", "list", "--home", place.path).code == 0


def own_id(place: Home, hpsearch: Hpsearch) -> int:
    listed = json.loads(hpsearch("token", "list", "--home", place.path, "--json").out)
    return next(one["id"] for one in listed if str(place.read_token()).startswith(one["prefix"]))


def test_a_name_of_two_lines_is_refused_in_one_sentence(
    home: tuple[Home, ServerAddress], hpsearch: Hpsearch
) -> None:
    for name in ("a\nb", "a\x1b[31m"):
        answer = hpsearch("token", "create", name, "--home", home[0].path)
        assert answer.code == 2
        assert answer.err == f"Error: NAME: must be one line of printable characters, not {name!r}\n"


def test_a_name_that_is_taken_is_a_conflict(home: tuple[Home, ServerAddress], hpsearch: Hpsearch) -> None:
    assert hpsearch("token", "create", "taken", "--home", home[0].path).code == 0
    answer = hpsearch("token", "create", "taken", "--home", home[0].path)
    assert answer.code == 4
    assert answer.out == ""
    assert "is called 'taken', and is still valid" in answer.err
    assert "hpsearch token revoke" in answer.err


def test_times_carry_their_zone(
    home: tuple[Home, ServerAddress], hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("COLUMNS", "200")
    time.tzset()
    listed = hpsearch("token", "list", "--home", home[0].path).out
    monkeypatch.undo()
    time.tzset()
    assert re.search(r"\d\d:\d\d:\d\d NZ[SD]T", listed)


def test_the_home_s_own_token_is_revoked_only_by_who_means_it(tmp_path: Path, hpsearch: Hpsearch) -> None:
    place = Home(tmp_path / "own")
    with background(Settings(home=place, port=0)):
        own = own_id(place, hpsearch)
        answer = hpsearch("token", "revoke", own, "--home", place.path)
        assert answer.code == 1
        assert "restarted" in answer.err
        assert "--yes" in answer.err
        assert hpsearch("token", "list", "--home", place.path).code == 0
        assert hpsearch("token", "revoke", own, "--home", place.path, "--yes").code == 0
        assert hpsearch("token", "list", "--home", place.path).code == 1
    with background(Settings(home=place, port=0)):
        assert hpsearch("token", "list", "--home", place.path).code == 0
