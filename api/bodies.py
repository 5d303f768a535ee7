"""What a request body may be: bounded while it streams, gzip where said so, and strict JSON."""

import json
import math
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import TooLarge, UnsupportedMediaType, problem_response

MAX_DEPTH = 32
GZIP_WINDOW = 31  # zlib's wbits for the gzip format


class BodyMiddleware:
    """413 for a body above `limit` bytes, counted after decompression; checkpoints have their own `file_limit`."""

    def __init__(self, app: ASGIApp, limit: int, file_limit: int) -> None:
        self.app = app
        self._limit = limit
        self._file_limit = file_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._file_limit if scope["method"] == "PUT" else self._limit
        encoding = headers.get("content-encoding", "identity").strip().lower()
        length = headers.get("content-length", "")
        if encoding not in ("identity", "gzip"):
            refused = UnsupportedMediaType(
                f"Content-Encoding {encoding[:50]!r} is not read here; use gzip or none"
            )
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
        await self.app(scope, _Bounded(receive, limit, gzip=encoding == "gzip"), send)


class _Bounded:
    """A `receive` that counts, and unpacks gzip no further than the limit."""

    def __init__(self, receive: Receive, limit: int, *, gzip: bool) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit
        self._unzip = zlib.decompressobj(GZIP_WINDOW) if gzip else None

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
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


# --- strict JSON ---------------------------------------------------------------------------------


class StrictRoute(APIRoute):
    """Reads bodies with `parse_json`: what JSON forbids and Python's parser allows is an error here."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse_json(await self.body())


def parse_json(body: bytes) -> Any:
    """JSON by RFC 8259 with finite numbers, whole numbers within 64 bits, and at most 32 levels.

    Raises json.JSONDecodeError for anything else.
    """
    try:
        value = json.loads(body, parse_constant=_not_json, parse_float=_finite, parse_int=_int64)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError(f"nested deeper than {MAX_DEPTH} levels", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
    if _deeper_than(value, MAX_DEPTH):
        raise json.JSONDecodeError(f"nested deeper than {MAX_DEPTH} levels", "", 0)
    return value


def _not_json(text: str) -> NoReturn:
    raise ValueError(
        f'{text} is not JSON; non-finite numbers travel as the strings "NaN", "Infinity", "-Infinity"'
    )


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _int64(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"the whole number {text[:40]} does not fit in 64 bits")
    return int(text)


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for container in layer
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
        if not layer:
            return False
    return any(isinstance(item, dict | list) for item in layer)
