"""Answers only to the server's own names (DNS rebinding), and with headers that keep browsers in bounds."""

import ipaddress
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadRequest, problem_response
from api.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: a browser then calls the origin of its own forms `null`.
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def own_names(settings: Settings) -> frozenset[str]:
    """Names under which this server may be asked; addresses are judged by `_is_own`."""
    names = LOOPBACK_NAMES | {settings.host.lower().strip("[]")} | {n.lower() for n in settings.allowed_hosts}
    return names if settings.loopback else names | {socket.gethostname().lower(), socket.getfqdn().lower()}


def host_of(header: str) -> str:
    """The host in a Host header, without port and brackets."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


class HostMiddleware:
    """400 for a foreign Host header. Rebinding needs a name, so a public server also takes bare addresses."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._names = own_names(settings)
        self._any_address = not settings.loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope).getlist("host")
        if len(headers) == 1 and self._is_own(host_of(headers[0])):
            await self.app(scope, receive, send_guarded)
            return
        await problem_response(_refusal(headers), scope)(scope, receive, send_guarded)

    def _is_own(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return self._any_address


def _refusal(headers: list[str]) -> BadRequest:
    if len(headers) != 1:  # a proxy before the server may have judged another one
        return BadRequest(f"a request has one Host header, not {len(headers)}")
    return BadRequest(
        f"this server does not answer to the host name {headers[0][:100]!r}",
        hint="add the name to HPSEARCH_ALLOWED_HOSTS where the server is started",
    )
