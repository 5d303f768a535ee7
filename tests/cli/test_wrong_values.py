"""A value that can't be is one sentence: which, what may be there; nothing starts and nothing is stored."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import InvalidInput
from hpsearch.server_url import same_server, server_url
from tests.cli.conftest import Answer, Hpsearch


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert answer.err.startswith("Error: "), answer.err
    assert "unexpected" not in answer.err
    assert len(answer.err.splitlines()) <= 2, answer.err
    for word in words:
        assert word in answer.err, answer.err


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that this process, from now on an ordinary user's, may read but not write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hpsearch.db").touch()
        folder.chmod(0o555)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", name)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("days", ["0", "-1", "inf", "nan", "1e12"])
def test_days_of_a_token(days: str, hpsearch: Hpsearch, tmp_path: Path) -> None:
    refused(hpsearch("token", "create", "x", "--days", days), 2, "--days must be above 0 and at most 3,660")
    assert not (tmp_path / ".hpsearch").exists()


def test_a_token_without_a_name(hpsearch: Hpsearch) -> None:
    refused(hpsearch("token", "create", ""), 2, "NAME")


@pytest.mark.parametrize("days", ["inf", "1e300"])
def test_days_of_what_is_pruned(days: str, hpsearch: Hpsearch) -> None:
    refused(hpsearch("db", "prune", "--days", days), 2, "--days: input should be")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOG_LEVEL", "loud", ["'debug', 'info', 'warning' or 'error'", "'loud'"]),
        ("RETENTION_DAYS", "abc", ["'abc'"]),
        ("RETENTION_DAYS", "-3", ["greater than or equal to 0", "-3"]),
        ("PORT", "99999999", ["0 to 65535"]),
        ("MAX_BODY_BYTES", "1", ["1024"]),
    ],
)
def test_a_server_says_which_variable_is_wrong(
    name: str,
    value: str,
    words: list[str],
    hpsearch: Hpsearch,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(f"HPSEARCH_{name}", value)
    refused(hpsearch("serve", "--port", "0"), 2, f"HPSEARCH_{name}", *words)
    assert not (tmp_path / ".hpsearch").exists()


@pytest.mark.parametrize(("line", "words"), [("port = 99999999", "0 to 65535"), ("slots = 0", "1 to 256")])
def test_a_number_of_the_file_is_in_its_range(
    line: str, words: str, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    (tmp_path / "hpsearch.toml").write_text(line + "\n")
    refused(hpsearch("serve"), 2, str(tmp_path / "hpsearch.toml"), line.partition(" ")[0], words)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:abc", "a,b", "http://[::1", "http://[::1]]:8", "http://127.0.0.1:99999", "http://exa mple:80",
        "ftp://host", "http://", "http://.", "http://host/?a=b", "http://host:0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [["study", "list"], ["worker", "start"], ["db", "prune"]])
def test_what_is_no_server(url: str, command: list[str], hpsearch: Hpsearch, tmp_path: Path) -> None:
    refused(
        hpsearch(*command, "--server", url), 2, f"{url!r} is not a server's address", "http://127.0.0.1:8000"
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://gpu-1.lab.example:8443/hp/", "https://gpu-1.lab.example:8443/hp"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://gpu_1", "http://gpu_1"),
        ("http://127.0.0.1:8000/api/v1/", "http://127.0.0.1:8000"),
    ],
)
def test_what_is_a_server(text: str, url: str) -> None:
    assert server_url(text) == url


def test_all_names_of_this_machine_are_one_server() -> None:
    assert same_server("http://localhost:8000", "127.0.0.1:8000/")
    assert same_server("http://[::1]:8000", "http://localhost:8000")
    assert not same_server("http://localhost:8000", "http://localhost:8001")
    assert not same_server("http://localhost:8000", "http://gpu-1:8000")
    with pytest.raises(InvalidInput):
        same_server("http://localhost:x", "http://localhost:8000")


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["token", "list"], ["db", "prune"]])
def test_a_home_that_this_user_can_not_write(command: list[str], nobody: Path, hpsearch: Hpsearch) -> None:
    answer = hpsearch(*command, "--home", nobody)
    refused(answer, 1, f"the home {nobody} can't be read and written by this user", "--home")


def test_a_home_that_this_user_can_not_make(nobody: Path, hpsearch: Hpsearch) -> None:
    answer = hpsearch("serve", "--port", "0", "--home", nobody / "new")
    refused(answer, 1, f"can't make the home directory {nobody / 'new'}", "--home")


@pytest.mark.parametrize(
    "command", [["serve", "--port", "0"], ["token", "list"], ["db", "prune"], ["db", "check"]]
)
def test_a_home_that_this_user_can_not_read(command: list[str], hpsearch: Hpsearch, nobody: Path) -> None:
    hidden = nobody / "hidden"
    real = os.geteuid()
    os.seteuid(os.getuid())
    nobody.chmod(0o755)
    hidden.mkdir(mode=0)
    hidden.chmod(0)
    os.seteuid(real)
    answer = hpsearch(*command, "--home", hidden)
    os.seteuid(os.getuid())
    hidden.rmdir()
    os.seteuid(real)
    refused(answer, 1, str(hidden), "--home")


@pytest.mark.parametrize("name", ["/a/file", b"/a/file"])
def test_a_file_that_this_user_can_not_write(
    name: str | bytes, hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(**_: object) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("hpsearch.cli.main.app", app)
    refused(hpsearch(), 1, "can't use /a/file: permission denied")
