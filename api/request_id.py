"""Gives each request an id, puts it on the answer, and turns what nobody caught into a plain 500."""

import logging
import re
import secrets
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from api.errors import problem_response
from hpsearch.errors import HpsearchError

HEADER = "X-Request-Id"
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class RequestIdMiddleware:
    """Takes the caller's `X-Request-Id` where it is plain, else makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if PLAIN.match(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                logger = logging.getLogger("api")
                logger.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
                if started:
                    raise
                await problem_response(_internal_error(), scope)(scope, receive, send_with_id)


def _internal_error() -> HpsearchError:
    error = HpsearchError(
        "the server failed on this request; nothing of it was stored",
        hint="try again; if it persists, look for the request id in the server's log",
    )
    error.status = HTTPStatus.INTERNAL_SERVER_ERROR
    error.code = "internal_error"
    return error
