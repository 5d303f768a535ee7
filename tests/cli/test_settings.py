"""A setting comes from the nearest place that has it, and says which."""

import json
from pathlib import Path

import pytest

from hpsearch.cli.settings import KEYS, resolve
from hpsearch.errors import InvalidInput
from tests.cli.conftest import Hpsearch


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, Path]:
    here, user = tmp_path / "here", tmp_path / "config" / "hpsearch"
    here.mkdir()
    user.mkdir(parents=True)
    return {"here": here, "user": user, "config": tmp_path / "config"}


def test_nearest_place_wins(layers: dict[str, Path]) -> None:
    user, here = layers["user"] / "hpsearch.toml", layers["here"] / "hpsearch.toml"
    user.write_text('server = "u"\nhome = "u"\nhost = "u"\nport = 1\n')
    here.write_text('server = "h"\nhome = "h"\nhost = "h"\n')
    environment = {"XDG_CONFIG_HOME": str(layers["config"]), "HPSEARCH_SERVER": "e", "HPSEARCH_HOME": "e"}
    found = resolve({"server": "f", "port": None}, environment=environment, folder=layers["here"])
    assert [(found[n].value, found[n].source) for n in ("server", "home", "host", "port", "data")] == [
        ("f", "--server"),
        ("e", "HPSEARCH_HOME"),
        ("h", str(here)),
        (1, str(user)),
        (None, "default"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sever = 'x'", "unknown setting 'sever'; did you mean 'server'?"),
        ("port = 'x'", "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("server = 3", "server must be text"),
        ("server =", "hpsearch.toml"),
    ],
)
def test_bad_file_is_named(text: str, said: str, layers: dict[str, Path]) -> None:
    (layers["here"] / "hpsearch.toml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        resolve(environment={}, folder=layers["here"])
    assert said in caught.value.message


def test_bad_variable_is_named(layers: dict[str, Path]) -> None:
    with pytest.raises(InvalidInput, match="HPSEARCH_PORT must be a whole number"):
        resolve(environment={"HPSEARCH_PORT": "x"}, folder=layers["here"])


def test_config_show_tells_value_and_place_but_no_secret(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPSEARCH_TOKEN", "hps_0123456789abcdef")
    monkeypatch.setenv("HPSEARCH_DATABASE_URL", "postgresql+psycopg://me:hush@db/x")
    plain, document = hpsearch("config", "show"), hpsearch("config", "show", "--json")
    shown = json.loads(document.out)
    assert set(shown) == set(KEYS)
    assert shown["token"]["source"] == "HPSEARCH_TOKEN"
    for text in (plain.out, document.out):
        assert "abcdef" not in text
        assert "hush" not in text
    assert "HPSEARCH_TOKEN" in plain.out
