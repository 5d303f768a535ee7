"""Every request is timed, counted and, where it matters, logged with its ids."""

import logging
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.origins import SAFE_METHODS
from api.telemetry import Telemetry
from hpsearch.records import Token

UNKNOWN = "other"  # no route: a label of a caller's own words would grow without end
# What workers say all the time.
CHATTER = frozenset({"lease", "report", "report_metrics", "report_logs", "heartbeat", "put_checkpoint"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ObservedMiddleware:
    """Names a request by its operation, never by its path or query."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app = app
        self._telemetry = telemetry
        self._log = logging.getLogger("api.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
        started = time.perf_counter()

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_observed)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope.get("state", {})
        operation = state.get("operation", UNKNOWN)
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self._telemetry.requests.labels(method, operation, str(status)).observe(seconds)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
            self._telemetry.refused.labels(str(status)).inc()
        token: Token | None = state.get("token")
        level = _level(method, operation, status)
        if self._log.isEnabledFor(level):
            facts = {
                "method": method,
                "operation": operation,
                "status": status,
                "ms": round(1000 * seconds, 1),
            }
            by = state.get("stranger", "nobody") if token is None else f"{token.scope} token {token.id}"
            self._log.log(
                level, "request", extra={**facts, "by": by, "client": (scope.get("client") or ("",))[0]}
            )


def _level(method: str, operation: str, status: int) -> int:
    """What workers say all the time, and what only reads, is for debugging unless it fails."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    if status >= HTTPStatus.BAD_REQUEST:
        return logging.WARNING
    return logging.DEBUG if method in SAFE_METHODS or operation in CHATTER else logging.INFO
