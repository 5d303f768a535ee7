"""The home directory: where a server on this machine keeps what it knows, and how others find it.

`$HPSEARCH_HOME`, by default `.hpsearch/` in the current folder.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError, NotFound, nearest
from hpsearch.residents import living
from hpsearch.secret import cleaned

SERVE_FIRST = "run `hpsearch serve` on it first, or name another with --home"


@dataclass(frozen=True)
class ServerAddress:
    """A server that runs on this home."""

    url: str
    pid: int


@dataclass(frozen=True)
class Home:
    """Paths inside one home, and the files by which its server is found."""

    path: Path

    @classmethod
    def locate(cls, path: Path | None = None) -> "Home":
        """The given path, else `$HPSEARCH_HOME`, else `.hpsearch` here; made absolute, not yet created."""
        chosen = path or Path(os.environ.get("HPSEARCH_HOME") or ".hpsearch")
        return cls(chosen.expanduser().absolute())

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / 'hpsearch.db'}"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def data(self) -> Path:
        """Where this machine's workers keep data sets."""
        return self.path / "data"

    @property
    def lock(self) -> Path:
        """Held by the one server of this home while it runs, or shared by those of one Postgres database."""
        return self.path / "server.lock"

    @property
    def servers(self) -> Path:
        """A record of each server that lives here, see `residents`."""
        return self.path / "servers"

    @property
    def ballast(self) -> Path:
        """Takes up space that the server gives back where the disk is full."""
        return self.path / "ballast"

    @property
    def database_file(self) -> Path:
        """Holds the id of the database whose checkpoints lie here."""
        return self.path / "database"

    @property
    def token_file(self) -> Path:
        return self.path / "token"

    @property
    def address_file(self) -> Path:
        return self.path / "server.json"

    def create(self) -> "Home":
        """Make the directory (0700). Raises HpsearchError where it can't be made or used."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HpsearchError(
                f"can't make the home directory {self.path}: {error.strerror}",
                hint="choose another with HPSEARCH_HOME or --home",
            ) from None
        self._require(os.R_OK | os.W_OK | os.X_OK, "read and written")
        return self

    def existing(self) -> "Home":
        """Raises NotFound where no server has ever run on it, so that a slip of the keyboard makes no home."""
        if not self.path.is_dir():
            near = _nearest_home(self.path)
            raise NotFound(
                f"there is no home {self.path}", hint=f"did you mean {near}?" if near else SERVE_FIRST
            )
        self._require(os.R_OK | os.X_OK, "read")
        if not self._is_used:
            raise NotFound(f"no server has run on the folder {self.path}", hint=SERVE_FIRST)
        return self

    def discard(self) -> None:
        """Undo `create` where nothing but what a start leaves lies there; else change nothing."""
        traces = {
            self.lock.name,
            "hpsearch.db.lock",
            self.database_file.name,
            self.ballast.name,
            self.servers.name,
        }
        with suppress(OSError):
            if not {path.name for path in self.path.iterdir()} <= traces:
                return
            for name in traces - {self.servers.name}:
                (self.path / name).unlink(missing_ok=True)
            if self.servers.exists():
                self.servers.rmdir()
            self.path.rmdir()

    def _require(self, rights: int, done: str) -> None:
        # The effective user's rights, as the files will meet them.
        if not os.access(self.path, rights, effective_ids=os.access in os.supports_effective_ids):
            raise HpsearchError(
                f"the home {self.path} can't be {done} by this user",
                hint="give this user its folder (chown, chmod u+rwx), or choose another with HPSEARCH_HOME or --home",
            )

    @property
    def _is_used(self) -> bool:
        """Whether a server has run on it."""
        return any(mark.exists() for mark in self._marks)

    @property
    def _marks(self) -> tuple[Path, ...]:
        return (
            self.path / "hpsearch.db",
            self.database_file,
            self.token_file,
            self.address_file,
            self.servers,
        )

    def read_token(self) -> str | None:
        """The local admin token, or None where no server has made one. Raises InvalidInput where something else
        is in its file."""
        try:
            text = self.token_file.read_text(errors="surrogateescape")
        except OSError:
            return None
        return cleaned(text, str(self.token_file))

    def write_token(self, token: str) -> None:
        """Keep the token readable by its owner only (0600); the file appears whole or not at all."""
        self._write_private(self.token_file, token + "\n")

    @property
    def keeps_checkpoints(self) -> bool:
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    def read_owner(self) -> str:
        """The id of the database whose checkpoints lie here; "" where no server has told."""
        try:
            return self.database_file.read_text().strip()
        except FileNotFoundError:
            return ""

    def claim(self, database: str) -> bool:
        """Keep the checkpoints of the database with this id from now on. False, and nothing changed, where
        those of another one lie here."""
        owner = self.read_owner()
        if owner == database:
            return True
        if owner and self.keeps_checkpoints:
            return False
        self._write_private(self.database_file, database + "\n")
        return True

    def read_addresses(self) -> list[ServerAddress]:
        """Where this home's servers listen: those that live, the newest first, then the one that told last, which may
        have been killed since: ask before trusting."""
        found = [ServerAddress(one.url, one.pid) for one in living(self.servers) if one.url is not None]
        told = self._read_told()
        return found if told is None or told in found else [*found, told]

    def read_address(self) -> ServerAddress | None:
        """The first of `read_addresses`."""
        return next(iter(self.read_addresses()), None)

    def write_address(self, address: ServerAddress) -> None:
        self._write_private(self.address_file, json.dumps({"url": address.url, "pid": address.pid}) + "\n")

    def forget_address(self) -> None:
        """This process's server ends: another one that lives is told of in its place. Where another one has told its
        address since, that stays."""
        known = self._read_told()
        if known is not None and known.pid != os.getpid():
            return
        other = next((one for one in self.read_addresses() if one != known), None)
        if other is None:
            self.address_file.unlink(missing_ok=True)
        else:
            self.write_address(other)

    def _read_told(self) -> ServerAddress | None:
        try:
            raw = json.loads(self.address_file.read_text())
            return ServerAddress(url=str(raw["url"]), pid=int(raw["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_private(self, path: Path, text: str) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            reason = (error.strerror or str(error)).lower()
            raise HpsearchError(
                f"can't write {path}: {reason}",
                hint="see to its folder's rights and to the disk's free space",
            ) from error


def _nearest_home(path: Path) -> Path | None:
    """The home that `path` most likely misspells, in the part of it that exists."""
    above = next(folder for folder in path.parents if folder.is_dir())
    missing = path.relative_to(above).parts[0]
    rest = path.relative_to(above / missing)
    try:
        homes = [entry.name for entry in above.iterdir() if Home(entry / rest)._is_used]
    except OSError:
        return None
    found = nearest(missing, homes)
    return above / found / rest if found else None
