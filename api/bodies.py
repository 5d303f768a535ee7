"""What a request body may be: bounded while it streams, gzip where said so, and strict JSON."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.errors import TooLarge, UnsupportedMediaType, problem_response
from api.strict_json import NotUtf8, parse_json

GZIP_WINDOW = 31  # zlib's wbits for the gzip format


class BodyMiddleware:
    """413 for a body above `limit` bytes, counted after decompression; checkpoints have their own `file_limit`.

    408 for one of which nothing more came for `silence_seconds`.
    """

    def __init__(self, app: ASGIApp, limit: int, file_limit: int, silence_seconds: float) -> None:
        self.app = app
        self._silence = silence_seconds
        self._limit = limit
        self._file_limit = file_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_file = scope["method"] == "PUT"
        limit = self._file_limit if is_file else self._limit
        encoding = headers.get("content-encoding", "identity").strip().lower()
        length = headers.get("content-length", "")
        # A file's limit bounds the disk, not memory: a few packed kilobytes of it would become gigabytes there.
        known = ("identity",) if is_file else ("identity", "gzip")
        if encoding not in known:
            instead = "send the file as it is" if is_file else "use gzip or none"
            refused = UnsupportedMediaType(f"Content-Encoding {encoding[:50]!r} is not read here; {instead}")
            await problem_response(refused, scope)(scope, receive, send)
            return
        if length.isdecimal() and int(length[:20]) > limit:
            await problem_response(TooLarge(_too_large(limit)), scope)(scope, receive, send)
            return
        if encoding == "gzip":
            # The route sees a plain body.
            scope = {**scope, "headers": list(scope["headers"])}
            del MutableHeaders(scope=scope)["content-encoding"]
            del MutableHeaders(scope=scope)["content-length"]
        await self.app(scope, _Bounded(receive, limit, self._silence, gzip=encoding == "gzip"), send)


class _Bounded:
    """A `receive` that counts, unpacks gzip no further than the limit, and waits for a slow sender no longer
    than `silence` seconds at a time."""

    def __init__(self, receive: Receive, limit: int, silence: float, *, gzip: bool) -> None:
        self._receive = receive
        self._silence: float | None = silence
        self._limit = limit
        self._left = limit
        self._unzip = zlib.decompressobj(GZIP_WINDOW) if gzip else None

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(self._silence):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body stopped coming for {self._silence:g} s") from None
        if message["type"] != "http.request":
            return message
        if not message.get("more_body", False):
            self._silence = None  # what follows is the caller's hanging up, which long polls wait for
        body = message.get("body", b"")
        if self._unzip is not None and body:
            body = self._unzipped(self._unzip, body)
        self._left -= len(body)
        if self._left < 0:
            raise HTTPException(413, _too_large(self._limit))
        return {**message, "body": body}

    def _unzipped(self, unzip: "zlib._Decompress", body: bytes) -> bytes:
        try:
            # One byte more than is left shows that the limit is passed, and costs no memory.
            return unzip.decompress(body, self._left + 1)
        except zlib.error as error:
            raise HTTPException(400, f"the body is not valid gzip: {error}") from None


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
            bind_contextvars(**{name: str(value)[:100] for name, value in request.path_params.items()})
            if takes_json:
                _check_media_type(request.headers)
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


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
