"""Which server a command talks to: the one named, else the home's; where none runs, one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hpsearch.cli import settings
from hpsearch.errors import HpsearchError, InvalidInput, ServerUnreachable, Unauthorized
from hpsearch.home import Home, ServerAddress
from hpsearch.server_url import same_server, server_url

if TYPE_CHECKING:
    from hpsearch.cli.processes import Companion
    from hpsearch.client import Client

STOP_SECONDS = 10.0


@contextmanager
def connected(
    server: str | None, token: str | None, home: Path | None, *, new_home: bool = False
) -> Iterator["Client"]:
    """A client of the chosen server. Starts the home's server for the time of the block where none runs.

    `new_home`: make the home where there is none. Raises ServerUnreachable where the named server doesn't answer,
    NotFound where there is no such home.
    """
    from hpsearch.cli.processes import start_server
    from hpsearch.cli.show import note

    chosen = settings.resolve({"server": server, "token": token, "home": home})
    place = locate(chosen)
    url = chosen["server"].text
    if url is not None:
        with named_client(url, chosen["token"].text, place) as client:
            yield client
        return
    address = running(place)
    if address is not None:
        with home_client(place, address) as client:
            yield client
        return
    if not new_home:
        place.existing()
    companion = start_server(place.create(), chosen["database_url"].text, passing=True)
    try:
        address = settled(companion, place)
        if address.pid == companion.process.pid:
            note(
                f"no server runs on the home {place.path}: this command has started one for itself, {address.url}"
            )
        with home_client(place, address) as client:
            yield client
    except ServerUnreachable:
        _tell_who_came(companion, place)
        raise
    finally:
        companion.stop(grace_seconds=STOP_SECONDS)


def _tell_who_came(companion: "Companion", home: Home) -> None:
    """Raises ServerUnreachable where the command's own server has ended because another one came to stay."""
    address = running(home) if companion.ended else None
    if address is not None:
        raise ServerUnreachable(
            f"the server that this command had started has left the home {home.path} to the one at {address.url}",
            hint="run the command again: it asks that one",
        )


def locate(chosen: dict[str, settings.Setting]) -> Home:
    """The home that the settings name."""
    return Home.locate(Path(chosen["home"].text or ".hpsearch"))


def running(home: Home) -> ServerAddress | None:
    """A server that runs on this home, or None."""
    return next((address for address in home.read_addresses() if _answers(address)), None)


def _answers(address: ServerAddress) -> bool:
    """It is asked without the token: the port may be another's."""
    from hpsearch.client import Client

    try:
        with Client(address.url, patience_seconds=0, timeout=5) as client:
            client.version()
    except HpsearchError:
        return False
    return True


def settled(companion: "Companion", home: Home) -> ServerAddress:
    """Where the server that was just started listens, or the one that was quicker on the same home."""
    from hpsearch.cli.processes import wait_for_server

    try:
        return wait_for_server(companion, home)
    except HpsearchError:
        address = running(home)
        if address is None:
            raise
        return address


def home_client(home: Home, address: ServerAddress) -> "Client":
    """A client of the home's own server, with the token that lies beside it."""
    from hpsearch.client import Client

    return Client(address.url, home.read_token())


def named_client(url: str, token: str | None, home: Home) -> "Client":
    """A client of a server by URL. The home's token is used only where that URL is a server of the home."""
    from hpsearch.client import Client
    from hpsearch.client.problems import PlainHttp

    secret = token or own_token(url, home)
    try:
        with Client(url, secret, patience_seconds=0) as client:
            client.version()
    except PlainHttp:
        raise
    except Unauthorized:
        # The version is open to all: another page of the server, or of another program, was asked.
        raise InvalidInput(
            f"{url} is a page of a server, not the server", hint=f"name it without the path: {_alone(url)}"
        ) from None
    except ServerUnreachable as error:
        raise ServerUnreachable(
            f"no server answers at {url}",
            hint=error.hint or "check the address, or start one with `hpsearch serve`",
        ) from None
    return Client(url, secret)


def own_token(url: str, home: Home) -> str | None:
    """The home's token where `url` is a server of the home; any other program may listen on a port of this machine."""
    own = any(same_server(address.url, url) for address in home.read_addresses())
    return home.read_token() if own else None


def _alone(url: str) -> str:
    parts = urlsplit(server_url(url))
    return f"{parts.scheme}://{parts.netloc}"
