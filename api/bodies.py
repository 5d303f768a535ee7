"""What a request body may be: bounded while it streams, gzip where said so, and strict JSON."""

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.errors import UnsupportedMediaType, problem_response
from api.origins import SAFE_METHODS
from api.session import MAX_FORM_BYTES
from api.strict_json import NotUtf8, parse_json
from hpsearch.errors import TooLarge

GZIP_WINDOW = 31  # zlib's wbits for the gzip format
SLOWEST = 1_024  # bytes a second, below which a sender uses up the server's patience


@dataclass(frozen=True)
class Bounds:
    """At most `limit` bytes, unpacked, in one of `encodings`, and at most `patience_seconds` of waiting for them.

    Each `slowest` bytes that come make up for a second that was waited.
    """

    limit: int
    encodings: tuple[str, ...]
    patience_seconds: float
    slowest: float = SLOWEST


class BodyMiddleware:
    """413 for a body above `limit` bytes, counted after decompression; checkpoints have their own `file_limit`.

    408 for one that stops for `silence_seconds`, or comes so slowly that as much is lost by and by. Who brought no
    token may send a small form, and has `stranger_seconds` for it: nothing of theirs is kept for longer.
    """

    def __init__(
        self, app: ASGIApp, limit: int, file_limit: int, silence_seconds: float, stranger_seconds: float
    ) -> None:
        self.app = app
        self._json = Bounds(limit, ("identity", "gzip"), silence_seconds)
        # A file's limit bounds the disk, not memory: a few packed kilobytes of it would become gigabytes there.
        self._file = Bounds(file_limit, ("identity",), silence_seconds)
        self._form = Bounds(MAX_FORM_BYTES, ("identity",), stranger_seconds, slowest=math.inf)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bounds = self._bounds(scope)
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        length = headers.get("content-length", "")
        if encoding not in bounds.encodings:
            instead = "use gzip or none" if "gzip" in bounds.encodings else "send it as it is"
            refused = UnsupportedMediaType(f"Content-Encoding {encoding[:50]!r} is not read here; {instead}")
            await problem_response(refused, scope)(scope, receive, send)
            return
        if length.isdecimal() and int(length[:20]) > bounds.limit:
            await problem_response(TooLarge(_too_large(bounds.limit)), scope)(scope, receive, send)
            return
        if scope["method"] in SAFE_METHODS:
            await self.app(scope, _unread(receive), send)
            return
        if encoding == "gzip":
            # The route sees a plain body.
            scope = {**scope, "headers": list(scope["headers"])}
            del MutableHeaders(scope=scope)["content-encoding"]
            del MutableHeaders(scope=scope)["content-length"]
        await self.app(scope, _Bounded(receive, bounds, gzip=encoding == "gzip"), send)

    def _bounds(self, scope: Scope) -> Bounds:
        if "token" not in scope.get("state", {}):
            return self._form
        return self._file if scope["method"] == "PUT" else self._json


def _unread(receive: Receive) -> Receive:
    """Without the body, which no route takes of such a request, and of which no bound may break an event stream:
    that only listens for its caller's hanging up."""

    async def emptied() -> Message:
        message = await receive()
        return {**message, "body": b""} if message["type"] == "http.request" else message

    return emptied


class _Bounded:
    """A `receive` that counts, unpacks gzip no further than the limit, and loses its patience with a slow sender."""

    def __init__(self, receive: Receive, bounds: Bounds, *, gzip: bool) -> None:
        self._receive = receive
        self._bounds = bounds
        self._patience: float | None = bounds.patience_seconds
        self._left = bounds.limit
        self._unzip = zlib.decompressobj(GZIP_WINDOW) if gzip else None

    async def __call__(self) -> Message:
        message = await self._awaited()
        if message["type"] != "http.request":
            return message
        if not message.get("more_body", False):
            self._patience = None  # what follows is the caller's hanging up, which long polls wait for
        body = message.get("body", b"")
        if self._unzip is not None and body:
            body = self._unzipped(self._unzip, body)
        self._left -= len(body)
        if self._left < 0:
            raise HTTPException(413, _too_large(self._bounds.limit))
        return {**message, "body": body}

    async def _awaited(self) -> Message:
        """The next message. Only the time of waiting counts: what the server does meanwhile is not the sender's."""
        if self._patience is None:
            return await self._receive()
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            # The rest of the body may yet come, and would be taken for the next request.
            raise HTTPException(408, _too_slow(self._bounds), {"Connection": "close"}) from None
        earned = len(message.get("body", b"")) / self._bounds.slowest
        left = self._patience - (clock() - started) + earned
        self._patience = min(left, self._bounds.patience_seconds)
        return message

    def _unzipped(self, unzip: "zlib._Decompress", body: bytes) -> bytes:
        try:
            # One byte more than is left shows that the limit is passed, and costs no memory.
            return unzip.decompress(body, self._left + 1)
        except zlib.error as error:
            raise HTTPException(400, f"the body is not valid gzip: {error}") from None


def _too_slow(bounds: Bounds) -> str:
    seconds = f"{bounds.patience_seconds:g} s"
    if bounds.slowest == math.inf:
        return f"the body was not here within {seconds}; send it again"
    return f"the body stopped for {seconds}, or came below {bounds.slowest:,} bytes a second; send it again"


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit:,} bytes, the most that is taken here"


class StrictRoute(APIRoute):
    """Takes bodies that say they are JSON, reads them with `parse_json`, and names its nouns to the log."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        operation = self.operation_id or self.name

        async def strict(request: Request) -> Response:
            request.state.operation = operation
            bind_contextvars(**{name: _logged(value) for name, value in request.path_params.items()})
            if takes_json:
                _check_media_type(request.headers)
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


def _logged(value: str) -> str | int:
    """A path's part for the log: an id as a number, which is never taken for a secret."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else value[:100]


def _check_media_type(headers: Headers) -> None:
    """A browser sends text/plain to a foreign server without asking it first, and JSON never."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("", "application/json"):
        raise UnsupportedMediaType(
            f"the body is {media_type[:50]!r}", hint="send JSON with Content-Type: application/json"
        )


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return parse_json(await self.body())
        except NotUtf8 as error:
            raise HTTPException(400, str(error)) from None
