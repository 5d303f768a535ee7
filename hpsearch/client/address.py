"""Where the server is and which token it takes, when the caller doesn't say."""

import os

from hpsearch.errors import ServerUnreachable
from hpsearch.home import Home
from hpsearch.secret import cleaned
from hpsearch.server_url import same_server


def resolve(url: str | None, token: str | None) -> tuple[str, str | None]:
    """(URL, token): as given, else `HPSEARCH_SERVER` and `HPSEARCH_TOKEN`, else the home's own.

    The home's token goes to the home's own server only. Raises ServerUnreachable where no server is known, InvalidInput
    for what can't be an address or a token.
    """
    home = Home.locate()
    own = [address.url for address in home.read_addresses()]
    chosen = url or os.environ.get("HPSEARCH_SERVER") or next(iter(own), None)
    if not chosen:
        raise ServerUnreachable(
            f"no server runs on the home {home.path}",
            hint="start one with `hpsearch serve`, or name one with HPSEARCH_SERVER",
        )
    given = cleaned(token, "the argument `token`") or cleaned(
        os.environ.get("HPSEARCH_TOKEN"), "HPSEARCH_TOKEN"
    )
    if given is None and any(same_server(chosen, one) for one in own):
        given = home.read_token()
    return chosen, given


def plain_allowed(url: str) -> bool:
    """Whether unencrypted HTTP may go to `url`: `HPSEARCH_ALLOW_HTTP` says so, or it is the home's own server."""
    if os.environ.get("HPSEARCH_ALLOW_HTTP", "").lower() in ("1", "true", "yes"):
        return True
    return any(same_server(url, address.url) for address in Home.locate().read_addresses())
