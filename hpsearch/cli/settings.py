"""Each setting and where it came from: flag > HPSEARCH_* > hpsearch.toml here > the user's > default."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch import secret
from hpsearch.errors import InvalidInput, unknown

FILE_NAME = "hpsearch.toml"
Value = str | int


@dataclass(frozen=True)
class Key:
    """A setting that exists: its type, its default (None: decided where it is used) and one line of help."""

    type: type[str] | type[int]
    default: Value | None
    help: str
    range: tuple[int, int] | None = None  # of a number: the least and the most


KEYS: Mapping[str, Key] = {
    "server": Key(str, None, "server that commands talk to; by default the home's own"),
    "token": Key(str, None, "token for that server; by default the home's own"),
    "home": Key(str, ".hpsearch", "directory of the database, checkpoints, reports and the local token"),
    "database_url": Key(str, None, "database of a server; by default SQLite in the home"),
    "host": Key(str, "127.0.0.1", "address that a server listens on"),
    "port": Key(int, 8000, "port that a server listens on", (0, 65_535)),
    "data": Key(str, None, "where a worker keeps data sets; by default `data` in the home"),
    "slots": Key(
        int, None, "trials that a worker trains at a time; by default one per GPU or core", (1, 256)
    ),
}


@dataclass(frozen=True)
class Setting:
    """A setting's value; `source` names the flag, variable or file it came from."""

    name: str
    value: Value | None
    source: str

    @property
    def text(self) -> str | None:
        return None if self.value is None else str(self.value)

    @property
    def number(self) -> int | None:
        return None if self.value is None else int(self.value)

    @property
    def shown(self) -> Value | None:
        """The value as it may be printed: a token's end is hidden, and so is a URL's password."""
        if not isinstance(self.value, str):
            return self.value
        if self.name == "token":
            return self.value[:6] + "…"
        head, at, tail = self.value.rpartition("@")
        scheme, _, user = head.partition("://")
        return f"{scheme}://{user.split(':')[0]}:…@{tail}" if at and ":" in user else self.value


def resolve(
    flags: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[str, Setting]:
    """Every setting. Raises InvalidInput for a file or variable that can't be read or has an unknown key."""
    env = os.environ if environment is None else environment
    layers = [
        _flags(flags or {}),
        _variables(env),
        _file((folder or Path.cwd()) / FILE_NAME),
        _file(user_file(env)),
    ]
    found = {name: _first(name, key, layers) for name, key in KEYS.items()}
    token = found["token"]
    return {**found, "token": replace(token, value=secret.cleaned(token.text, token.source))}


def user_file(environment: Mapping[str, str]) -> Path:
    """The user's own settings file (XDG base directory specification)."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "~")) / ".config")
    return Path(base).expanduser() / "hpsearch" / FILE_NAME


def _first(name: str, key: Key, layers: list[dict[str, Setting]]) -> Setting:
    found = next((layer[name] for layer in layers if name in layer), None)
    return found or Setting(name, key.default, "default")


def _flags(flags: Mapping[str, object]) -> dict[str, Setting]:
    given = {name: value for name, value in flags.items() if value is not None}
    return {
        name: Setting(name, value if isinstance(value, int) else str(value), f"--{name.replace('_', '-')}")
        for name, value in given.items()
    }


def _variables(environment: Mapping[str, str]) -> dict[str, Setting]:
    return dict(_typed_variables(environment))


def _typed_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    for name, key in KEYS.items():
        variable = f"HPSEARCH_{name.upper()}"
        raw = environment.get(variable)
        if not raw:
            continue
        if key.type is int and not raw.isdecimal():
            raise InvalidInput(f"{variable} must be a whole number, not {raw!r}")
        yield name, _in_range(key, Setting(name, key.type(raw), variable), variable)


def _file(path: Path) -> dict[str, Setting]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {error}") from None
    except OSError as error:
        raise InvalidInput(f"can't read {path}: {error.strerror}") from None
    return {name: _from_file(path, name, value) for name, value in raw.items()}


def _from_file(path: Path, name: str, value: object) -> Setting:
    key = KEYS.get(name)
    if key is None:
        raise InvalidInput(f"{path}: {unknown('setting', name, KEYS)}")
    if not isinstance(value, key.type) or isinstance(value, bool):
        kind = "a whole number" if key.type is int else "text"
        raise InvalidInput(f"{path}: {name} must be {kind}, not {value!r}")
    return _in_range(key, Setting(name, value, str(path)), f"{path}: {name}")


def _in_range(key: Key, setting: Setting, where: str) -> Setting:
    if key.range is not None and not key.range[0] <= int(setting.value or 0) <= key.range[1]:
        least, most = key.range
        raise InvalidInput(f"{where} must be {least} to {most}, not {setting.value}")
    return setting
