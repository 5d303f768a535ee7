"""Which server a command talks to: the one named, else the home's; where none runs, one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hpsearch.cli import settings
from hpsearch.errors import HpsearchError, InvalidInput, ServerUnreachable, Unauthorized
from hpsearch.home import Home, ServerAddress
from hpsearch.server_url import is_loopback, same_server, server_url

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
    companion = start_server(place.create(), chosen["database_url"].text)
    try:
        with home_client(place, settled(companion, place)) as client:
            yield client
    finally:
        companion.stop(grace_seconds=STOP_SECONDS)


def locate(chosen: dict[str, settings.Setting]) -> Home:
    """The home that the settings name."""
    return Home.locate(Path(chosen["home"].text or ".hpsearch"))


def running(home: Home) -> ServerAddress | None:
    """The server that runs on this home, or None. It is asked without the token: the port may be another's."""
    from hpsearch.client import Client

    address = home.read_address()
    if address is None:
        return None
    try:
        with Client(address.url, patience_seconds=0, timeout=5) as client:
            client.version()
    except HpsearchError:
        return None
    return address


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
    """A client of a server by URL. The home's token is used only where that URL is the home's own server."""
    from hpsearch.client import Client
    from hpsearch.client.problems import PlainHttp

    address = home.read_address()
    own = address is not None and same_server(address.url, url)
    secret = token or (home.read_token() if own else None)
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


def coming_token(url: str, home: Home) -> str | None:
    """The home's token where `url` is its server, or the address of this machine at which it may be about to start."""
    from hpsearch.cli.processes import alive

    address = home.read_address()
    if address is not None and same_server(address.url, url):
        return home.read_token()
    starts_yet = address is None or not alive(address.pid)
    return home.read_token() if starts_yet and is_loopback(server_url(url)) else None


def _alone(url: str) -> str:
    parts = urlsplit(server_url(url))
    return f"{parts.scheme}://{parts.netloc}"
