"""Refuses what a browser sends on a foreign page's behalf."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem_response
from hpsearch.errors import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWN_SITES = frozenset({"same-origin", "none"})  # values of Sec-Fetch-Site; `none` is the user's own typing


class OriginMiddleware:
    """403 for a change that another origin's page asks for. Clients that are no browsers send neither header.

    Every method that isn't known to be safe counts: Ray's dashboard forgot DELETE (CVE-2026-27482).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or _is_own(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        error = Forbidden(
            "this was sent from another site's page", hint="open the server's own pages, or use the API"
        )
        await problem_response(error, scope)(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "none") not in OWN_SITES:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        # Not the scheme: behind a proxy that ends TLS, the browser says https and this server sees http.
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False
