"""A server's URL as people write it."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from hpsearch.errors import InvalidInput

API = "/api/v1"
_NAME = re.compile(r"(?!-)[\w-]+(\.[\w-]+)*\.?")
_PLACE = re.compile(r"([^@\[\]]*@)?(\[[^\[\]]*\]|[^\[\]:]*)(:\d*)?")


def server_url(text: str) -> str:
    """`text` with its scheme and without what lies below the server. Raises InvalidInput for what is no address."""
    try:
        parts = urlsplit(text if "//" in text else f"http://{text}")
        known = parts.scheme in ("http", "https") and _PLACE.fullmatch(parts.netloc) is not None
        known = known and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket that isn't closed
        known = False
    if not known or parts.query or parts.fragment:
        raise InvalidInput(f"{text!r} is not a server's address", hint="it looks like http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix(API)
    return SplitResult(parts.scheme, parts.netloc, path, "", "").geturl().rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a checked URL is this machine's own."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def same_server(one: str, other: str) -> bool:
    """Whether two URLs name one server; all names of this machine are one. Raises InvalidInput."""
    first, second = urlsplit(server_url(one)), urlsplit(server_url(other))
    local = is_loopback(first.geturl()) and is_loopback(second.geturl())
    same_host = local or first.hostname == second.hostname
    return same_host and (first.scheme, first.port, first.path) == (second.scheme, second.port, second.path)


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    return ipaddress.ip_address(host.partition("%")[0]).version == 6
