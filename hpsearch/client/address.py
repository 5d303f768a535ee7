"""Where the server is and which token it takes, when the caller doesn't say."""

import os

from hpsearch.errors import ServerUnreachable
from hpsearch.home import Home


def resolve(url: str | None, token: str | None) -> tuple[str, str | None]:
    """(URL, token): as given, else `HPSEARCH_SERVER` and `HPSEARCH_TOKEN`, else the home's own.

    The home's token goes to the home's own server only. Raises ServerUnreachable where no server is known.
    """
    home = Home.locate()
    own = [address.url for address in home.read_addresses()]
    chosen = url or os.environ.get("HPSEARCH_SERVER") or next(iter(own), None)
    if not chosen:
        raise ServerUnreachable(
            f"no server runs on the home {home.path}",
            hint="start one with `hpsearch serve`, or name one with HPSEARCH_SERVER",
        )
    secret = token or os.environ.get("HPSEARCH_TOKEN") or None
    if secret is None and chosen.rstrip("/") in own:
        secret = home.read_token()
    return chosen, secret


def plain_allowed(url: str) -> bool:
    """Whether unencrypted HTTP may go to `url`: `HPSEARCH_ALLOW_HTTP` says so, or it is the home's own server."""
    if os.environ.get("HPSEARCH_ALLOW_HTTP", "").lower() in ("1", "true", "yes"):
        return True
    return url.rstrip("/") in [address.url for address in Home.locate().read_addresses()]
